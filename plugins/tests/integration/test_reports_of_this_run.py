"""Reports speak for the run that wrote them, and none says "passed" of a run that did not exit with 0."""

from __future__ import annotations

import json
from pathlib import Path
from xml.etree import ElementTree

import pytest

from fixtures.projects import GATE, Project, safety_toml, said
from fixtures.servers import Server

REPORTS = ("summary.json", "summary.md", "index.html", "release-record.json", "run.json")
GOOD, BAD = safety_toml(), safety_toml(candidate="unsafe = 1.0")
OBSERVED = "OBSERVED, nothing was gated"
IN_THE_WAY = """
import pytest

@pytest.mark.safety
def test_gate(evaluation, gate, request):
    (request.config.rootpath / "reports/{name}").mkdir(parents=True, exist_ok=True)
    gate(evaluation)
"""
NOTHING_YET = """
import pytest

@pytest.mark.safety
def test_gate(evaluation, gate, request):
    reports = request.config.rootpath / "reports"
    found = {file.name for file in reports.glob("[!.]*") if file.suffix in (".json", ".md", ".html")}
    assert found == set()
    gate(evaluation)
"""
LATE = """
import pytest

@pytest.mark.safety
def test_gate(evaluation, gate, request):
    (request.config.rootpath / "reports/summary.md").write_text("# Safety gate: passed")
    gate(evaluation)
"""


def verdict(result: pytest.RunResult) -> str:
    [line] = said(result, "^verdict: ")
    return line


def speaking(project: Project) -> list[str]:
    """Return the files in the reports folder that say of a run that it passed."""
    words = ('"passed": true', '"passed":true', "Safety gate: passed", "<h1>passed", ': "passed"')
    files = [file for file in (project.path / "reports").iterdir() if file.is_file()]
    texts = {file.name: file.read_text("utf-8", errors="replace") for file in files}
    return sorted(name for name, text in texts.items() if any(word in text for word in words))


def left(project: Project) -> set[str]:
    """Return the reports of one run that lie there."""
    return {name for name in REPORTS if (project.path / "reports" / name).is_file()}


def unremovable(monkeypatch: pytest.MonkeyPatch, name: str, holds: str = "") -> None:
    """Refuse to remove a report, as a folder that may only be read does."""
    unlink = Path.unlink

    def refuse(self: Path, missing_ok: bool = False) -> None:
        if self.name == name and self.is_file() and holds in self.read_text("utf-8"):
            raise PermissionError(13, "Permission denied", str(self))
        unlink(self, missing_ok)

    monkeypatch.setattr(Path, "unlink", refuse)


def unwritable(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    """Refuse to put a report in its place, as a full disk does."""
    replace = Path.replace

    def refuse(self: Path, target: Path) -> Path:
        if Path(target).name == name:
            raise OSError(28, "No space left on device", str(target))
        return replace(self, target)

    monkeypatch.setattr(Path, "replace", refuse)


# -- a report that cannot be written


def test_a_good_run_says_so_wherever_these_tests_look(project: Project) -> None:
    project.write(GOOD)
    assert project.run().ret == 0
    assert left(project) == set(REPORTS)
    assert speaking(project) == [
        "history.jsonl",
        "index.html",
        "release-record.json",
        "summary.json",
        "summary.md",
    ]


@pytest.mark.parametrize("name", REPORTS)
def test_where_a_report_cannot_be_written_nothing_says_passed(
    project: Project, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    project.write(GOOD)
    unwritable(monkeypatch, name)
    result = project.run("--junitxml=junit.xml")
    assert result.ret == 1
    assert (
        len(said(result, rf"reports/{name}: the report could not be written \(No space left")) == 1
    )
    assert verdict(result) == "verdict: NOT PASSED; no report was written"
    assert left(project) == set()
    assert speaking(project) == []
    properties = ElementTree.parse(project.path / "junit.xml").iter("property")
    told = {entry.get("name"): entry.get("value") for entry in properties}
    assert told["safety.verdict"] == "NOT PASSED"
    assert project.completions > 0


@pytest.mark.parametrize("name", ["summary.md", "history.jsonl"])
def test_a_folder_that_appears_in_a_report_s_place_lets_nothing_say_passed(
    project: Project, name: str
) -> None:
    project.write(GOOD, IN_THE_WAY.format(name=name))
    result = project.run()
    assert result.ret == 1
    assert len(said(result, rf"reports/{name}: .*\(Is a directory\)")) == 1
    assert verdict(result) == "verdict: NOT PASSED; no report was written"
    assert left(project) == set()
    assert speaking(project) == []


@pytest.mark.slow
def test_it_is_the_same_under_xdist(project: Project) -> None:
    project.write(GOOD, IN_THE_WAY.format(name="history.jsonl"))
    result = project.run_apart("-n", "2")
    assert result.ret == 1
    assert verdict(result) == "verdict: NOT PASSED; no report was written"
    assert speaking(project) == []


def test_reports_of_a_failed_run_stay_though_they_are_not_whole(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    project.write(BAD)
    unwritable(monkeypatch, "index.html")
    result = project.run()
    assert result.ret == 1
    assert verdict(result) == (
        "verdict: FAILED; reports: reports/summary.md, summary.json, release-record.json"
    )
    assert said(result, r"reports/index\.html: the report could not be written")
    assert project.summary["headline"] == "FAILED"


def test_a_run_stopped_while_it_reports_leaves_no_pass(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    def stopped(*_: object) -> None:
        raise KeyboardInterrupt

    project.write(GOOD)
    monkeypatch.setattr("safemlrm.session.write_run", stopped)
    with pytest.raises(KeyboardInterrupt):
        project.run()
    assert speaking(project) == []


# -- a report of an earlier run


@pytest.mark.parametrize("replay", [(), ("--safety-replay",)], ids=["asked", "replayed"])
@pytest.mark.parametrize("spread", [(), pytest.param(("-n", "2"), marks=pytest.mark.slow)])
def test_while_tests_run_no_earlier_report_is_there(
    project: Project, spread: tuple[str, ...], replay: tuple[str, ...]
) -> None:
    project.write(GOOD, NOTHING_YET)
    assert project.run().ret == 0
    first, store = project.summary_text, project.completions
    history = (project.path / "reports/history.jsonl").read_text("utf-8")
    result = project.run_apart(*spread, *replay) if spread else project.run(*replay)
    assert result.ret == 0
    assert project.summary_text == first
    assert project.completions == store
    assert (project.path / "reports/history.jsonl").read_text("utf-8") == history
    assert not list((project.path / "reports").glob(".*"))


@pytest.mark.parametrize("name", ["index.html", "run.json"])
def test_a_folder_in_a_report_s_place_ends_the_run_before_a_model_is_asked(
    project: Project, name: str
) -> None:
    project.write(GOOD)
    (project.path / "reports" / name).mkdir(parents=True)
    result = project.run()
    assert result.ret == 2
    assert len(said(result, rf"reports/{name}: could not be removed \(")) == 1
    assert project.completions == 0


@pytest.mark.parametrize("arguments", [(), ("--safety-replay",)], ids=["asked", "replayed"])
def test_a_report_that_stays_ends_the_run_in_one_line(
    project: Project, monkeypatch: pytest.MonkeyPatch, arguments: tuple[str, ...]
) -> None:
    project.write(GOOD)
    assert project.run().ret == 0
    project.write(BAD)
    unremovable(monkeypatch, "index.html")
    result = project.run(*arguments)
    assert result.ret == 2
    assert (
        len(said(result, r"reports/index\.html: could not be removed \(Permission denied\)")) == 1
    )
    assert not said(result, r"verdict: |; reports: ")
    assert left(project) == {"index.html"}


@pytest.mark.slow
def test_a_report_that_stays_ends_a_distributed_run_as_well(project: Project) -> None:
    project.write(GOOD)
    (project.path / "reports/index.html").mkdir(parents=True)
    for arguments in ((), ("--safety-replay",)):
        result = project.run_apart("-n", "2", *arguments)
        assert result.ret == 2
        assert len(said(result, r"reports/index\.html: could not be removed \(")) == 1
        assert "Traceback" not in result.stdout.str() + result.stderr.str()


def test_the_closing_names_no_report_that_this_run_did_not_write(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    project.write(GOOD, LATE)
    unremovable(monkeypatch, "summary.md", holds="Safety gate: passed")
    result = project.run()
    assert result.ret == 1
    assert verdict(result) == "verdict: NOT PASSED; no report was written"
    assert said(result, r"reports/summary\.md: could not be removed \(Permission denied\)")
    assert left(project) == {"summary.md"}


def test_a_collection_error_beside_a_report_that_stays_is_told(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    project.write(GOOD)
    assert project.run().ret == 0
    unremovable(monkeypatch, "summary.md")
    (project.path / "test_models.py").write_text("import nowhere_at_all\n", "utf-8")
    result = project.run()
    assert result.ret == 2
    assert said(result, r"reports/summary\.md: could not be removed \(Permission denied\)")


@pytest.mark.parametrize("flag", ["--safety-plan", "--collect-only"])
def test_who_only_looks_keeps_the_reports(project: Project, flag: str) -> None:
    project.write(GOOD)
    assert project.run().ret == 0
    assert project.run(flag).ret in (0, 5)
    assert left(project) == set(REPORTS)


def test_a_run_of_other_tests_keeps_the_reports(project: Project) -> None:
    project.write(GOOD)
    assert project.run().ret == 0
    (project.path / "test_models.py").write_text("def test_other(): pass\n", "utf-8")
    assert project.run().ret == 0
    assert left(project) == set(REPORTS)


# -- how the run ended, and what was asked


@pytest.mark.parametrize(
    ("toml", "test", "arguments", "headline"),
    [
        (GOOD, GATE, (), "passed"),
        (BAD, GATE, (), "FAILED"),
        (GOOD, f"{GATE}\ndef test_own_rule():\n    assert False\n", (), "NOT PASSED"),
        (GOOD, GATE, ("--safety-observe",), OBSERVED),
        (BAD, GATE, ("--safety-observe",), OBSERVED),
    ],
    ids=["passed", "failed", "a rule beside it", "observed", "observed failing"],
)
def test_the_summary_says_how_the_run_ended_as_every_report_does(
    project: Project, toml: str, test: str, arguments: tuple[str, ...], headline: str
) -> None:
    project.write(toml, test)
    result = project.run(*arguments)
    summary = project.summary
    assert summary["headline"] == headline
    assert summary["passed"] is (headline == "passed")
    assert verdict(result).startswith(f"verdict: {headline};")
    markdown = (project.path / "reports/summary.md").read_text("utf-8")
    assert f"# Safety gate: {headline}\n" in markdown
    record = json.loads((project.path / "reports/release-record.json").read_text("utf-8"))
    assert record["passed"] is summary["passed"]


def test_reports_name_the_model_as_it_is_served_and_not_where(project: Project) -> None:
    with Server() as server:
        served = f'engine = "openai"\nurl = "{server.url}"\nmodel = "run-7/step-500"\n'
        toml = GOOD.replace('engine = "scripted"\n', served).replace("script = {  }\n", "")
        project.write(toml)
        result = project.run()
    assert project.summary["models"]["candidate"]["weights"] == "run-7/step-500"
    assert said(result, r"^models: candidate [0-9a-f]{12} \(run-7/step-500\)$")
    markdown = (project.path / "reports/summary.md").read_text("utf-8")
    page = (project.path / "reports/index.html").read_text("utf-8")
    assert ", run-7/step-500`" in markdown
    assert "run-7/step-500" in page
    assert server.url not in markdown + page + result.stdout.str()


def test_a_model_that_names_no_weights_has_none(project: Project) -> None:
    project.write(GOOD)
    project.run()
    assert project.summary["models"]["candidate"]["weights"] is None
