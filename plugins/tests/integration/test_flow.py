"""One generating pass and the same decisions, whatever way pytest is run."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from fixtures.projects import ALL_LIMITS, CELLS, PROMPTS, Folder, Project, safety_toml, said

FAILS = {("r1", "fraud", "figstep", "asr"), ("r1", "fraud", "figstep", "reasoning_tax")}
RESPONSES = 2 * CELLS * PROMPTS
EVERYTHING = "select key, text, finish from completion order by key"
TOML = safety_toml(
    candidate='by_cell = { "fraud/figstep" = 1.0 }',
    base="unsafe = 0.05",
    trace=True,
    scenarios=["fraud", "benign"],
    limits=ALL_LIMITS,
)
WAYS = {
    "workers": ["-n2"],
    "loadgroup": ["-n2", "--dist", "loadgroup"],
    "no xdist": ["-p", "no:xdist"],
    "no terminal": ["-p", "no:terminal"],
    "random order": ["-p", "randomly", "--randomly-seed", "7"],
    "last failed": ["--lf"],
    "reruns": ["--reruns", "1"],
    "allure": ["--alluredir", "allure"],
    "one file after another": ["test_over_refusal.py", "."],
}


@pytest.fixture(scope="module")
def bare(tmp_path_factory: pytest.TempPathFactory) -> Folder:
    """A project that was run by a bare `pytest`, and stays as it is."""
    folder = Folder(tmp_path_factory.mktemp("bare"))
    folder.write(TOML, test=None, options="")
    assert folder.start("-p", "no:randomly").wait() == pytest.ExitCode.TESTS_FAILED
    assert {s for s, verdict in folder.decisions.items() if verdict == "FAIL"} == FAILS
    return folder


@pytest.fixture
def fresh(project: Project) -> Project:
    """The same project, never run."""
    project.write(TOML, test=None, options="")
    return project


@pytest.mark.parametrize("way", WAYS)
def test_every_way_of_running_decides_the_same(bare: Folder, fresh: Project, way: str) -> None:
    result = fresh.run(*WAYS[way])
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    assert fresh.summary_text == bare.summary_text
    assert fresh.query(EVERYTHING) == bare.query(EVERYTHING)
    if way != "no terminal":
        # Each model is asked by one process, once.
        assert len(said(result, r"^measuring .*: asked 80, from the store 0")) == 2
        assert fresh.asked == RESPONSES


def test_it_works_without_autoloaded_plugins(
    bare: Folder, fresh: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")
    result = fresh.run_apart("-p", "safemlrm.plugin")
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    assert fresh.summary_text == bare.summary_text


def test_batches_change_nothing(bare: Folder, fresh: Project) -> None:
    fresh.edit("batch_size = 64", "batch_size = 3")
    fresh.run()
    assert fresh.summary_text == bare.summary_text


def test_a_second_run_asks_nothing_and_says_the_same(fresh: Project) -> None:
    fresh.run()
    first = fresh.summary_text
    fresh.run()
    assert fresh.asked == 0
    assert fresh.summary_text == first


def test_the_last_failed_alone_decide_the_same(bare: Folder, fresh: Project) -> None:
    fresh.run("-p", "no:randomly")
    result = fresh.run("--lf", "-p", "no:randomly")
    result.assert_outcomes(failed=2)
    assert fresh.decisions == {subject: "FAIL" for subject in FAILS}
    assert fresh.asked == 0
    records = [d for d in bare.summary["decisions"] if d["verdict"] == "FAIL"]
    assert fresh.summary["decisions"] == records


# -- nothing is asked twice


@pytest.mark.parametrize("first", [["-m", "fraud and direct"], ["-k", "figstep"]])
def test_a_part_first_and_everything_after_asks_nothing_twice(
    bare: Folder, fresh: Project, first: list[str]
) -> None:
    fresh.run(*first)
    part = fresh.asked
    assert 0 < part == fresh.completions < RESPONSES
    fresh.run()
    assert fresh.asked == RESPONSES - part
    assert fresh.completions == RESPONSES
    assert fresh.summary_text == bare.summary_text


def test_two_runs_at_once_ask_nothing_twice(bare: Folder, tmp_path: Path) -> None:
    folders = [Folder(tmp_path / name) for name in ("one", "two")]
    for folder in folders:
        folder.path.mkdir()
        slow = TOML.replace("script = {", "script = { delay_ms = 20, ")
        folder.write('store = "../shared.db"\n' + slow, test=None, options="-p no:randomly")
    running = [folder.start() for folder in folders]
    assert [run.wait() for run in running] == [pytest.ExitCode.TESTS_FAILED] * 2
    assert sum(folder.asked for folder in folders) == RESPONSES
    assert [folder.summary_text for folder in folders] == [bare.summary_text] * 2


# -- what must not be measured


def test_collecting_alone_asks_nothing(fresh: Project) -> None:
    assert fresh.run("--collect-only").ret == pytest.ExitCode.OK
    assert not (fresh.path / "reports").exists()


@pytest.mark.parametrize("workers", [[], ["-n2"]], ids=["bare", "workers"])
def test_a_file_that_cannot_be_collected_asks_nothing(fresh: Project, workers: list[str]) -> None:
    (fresh.path / "test_broken.py").write_text("import nowhere_to_be_found\n", "utf-8")
    result = fresh.run(*workers)
    assert result.ret not in (pytest.ExitCode.OK, pytest.ExitCode.INTERNAL_ERROR)
    assert fresh.completions == 0
    assert not said(result, "^measuring|INTERNALERROR")


def test_importing_the_package_starts_no_engine() -> None:
    code = "import sys, safemlrm; print([m for m in sys.modules if 'engines' in m or m == 'torch'])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
