"""The `safemlrm` command: measure on one machine, accept, and compare the next candidate with it."""

from __future__ import annotations

from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from safemlrm.cli import main

SAFETY = """
[models.released]
engine = "scripted"
script = {{ unsafe = 0.02 }}
[models.next]
engine = "scripted"
script = {{ unsafe = {rate} }}
[pairs.release]
base = "baseline"
candidate = "{candidate}"
[scenarios.fraud]
[attacks.direct]
[limits]
reasoning_tax = 0.10
"""
TEST = "def test_release(evaluation, gate):\n    gate(evaluation)\n"


def write(folder: Path, candidate: str, rate: float = 0.02) -> str:
    file = folder / "safety.toml"
    file.write_text(SAFETY.format(candidate=candidate, rate=rate), "utf-8")
    return str(file)


def call(*arguments: str) -> Result:
    return CliRunner().invoke(main, arguments)


def accept_release(folder: Path) -> None:
    file = write(folder, "released")
    assert call("measure", "--config", file).exit_code == 0
    done = call("accept", "release", "--config", file, "--by", "ann", "--reason", "first release")
    assert done.exit_code == 0, done.output
    assert "accepted 1 cells of release" in done.output


@pytest.mark.parametrize(("rate", "code", "verdict"), [(0.03, 0, "PASS"), (0.6, 1, "FAIL")])
def test_the_next_release_is_compared_with_the_accepted_one(
    pytester: pytest.Pytester,
    monkeypatch: pytest.MonkeyPatch,
    rate: float,
    code: int,
    verdict: str,
) -> None:
    monkeypatch.setenv("COLUMNS", "200")
    accept_release(pytester.path)
    write(pytester.path, "next", rate)
    pytester.makepyfile(test_release=TEST)
    result = pytester.runpytest_subprocess()
    assert result.ret == code
    result.stdout.fnmatch_lines(
        [
            "measuring next: asked 60, *",  # the accepted release is not asked again
            f"{verdict} * release / fraud / direct *reasoning tax*base * unsafe",
        ]
    )


def test_before_the_first_release_was_accepted_the_tax_does_not_apply(
    pytester: pytest.Pytester,
) -> None:
    write(pytester.path, "next")
    pytester.makepyfile(test_release=TEST)
    result = pytester.runpytest_subprocess()
    assert result.ret == 1
    result.stdout.fnmatch_lines(
        [
            "NOT_APPLICABLE *",
            "PARTIAL: release has no accepted baseline for 1 of its comparisons, *",
            "release: no gate was decided, so nothing is known about the candidate",
        ]
    )


def test_measuring_twice_asks_nothing_twice(tmp_path: Path) -> None:
    file = write(tmp_path, "next")
    assert "next: asked 60, from the store 0" in call("measure", "--config", file).output
    assert "next: asked 0, from the store 60" in call("measure", "--config", file).output


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        (("accept", "relase", "--by", "ann", "--reason", "x"), "did you mean 'release'?"),
        (("accept", "release", "--by", "ann", "--reason", "x"), "there is no store yet"),
        (("measure", "--profile", "smoke"), "there is no [profiles.smoke]"),
        (("measure", "--pair", "relase"), "unknown name 'relase'; did you mean 'release'?"),
    ],
)
def test_mistakes_are_one_line(tmp_path: Path, arguments: tuple[str, ...], line: str) -> None:
    done = call(*arguments, "--config", write(tmp_path, "next"))
    assert done.exit_code == 1
    assert done.output.startswith("Error: ")
    assert line in done.output


def test_a_model_that_breaks_fails_the_command(tmp_path: Path) -> None:
    file = write(tmp_path, "next")
    text = (
        Path(file).read_text("utf-8").replace("unsafe = 0.02 }\n[pairs", "die_after = 3 }\n[pairs")
    )
    Path(file).write_text(text, "utf-8")
    done = call("measure", "--config", file)
    assert done.exit_code == 1
    assert "next: BROKEN: model 'next' on cpu: its process was killed by SIGKILL" in done.output


@pytest.mark.parametrize(("requests", "code"), [(60, 0), (20, 3)])
def test_a_spent_budget_has_an_exit_code_of_its_own(
    tmp_path: Path, requests: int, code: int
) -> None:
    file = write(tmp_path, "next")
    with Path(file).open("a", encoding="utf-8") as toml:
        toml.write(f"[budget]\nrequests = {requests}\n")
    done = call("measure", "--config", file)
    assert done.exit_code == code
    assert f"next: asked {requests}, from the store 0" in done.output
    assert ("is spent; the rest was not asked" in done.output) == (code == 3)
    if code:
        second = call("measure", "--config", file)
        assert (second.exit_code, "asked 20, from the store 20" in second.output) == (3, True)
        assert call("measure", "--config", file).exit_code == 0  # the last third


def test_a_broken_model_counts_more_than_a_spent_budget(tmp_path: Path) -> None:
    file = Path(write(tmp_path, "next"))
    text = file.read_text("utf-8").replace("unsafe = 0.02 }\n[models", "die_after = 3 }\n[models")
    pair = '[pairs.other]\ncandidate = "released"\n'
    file.write_text(f"{text}{pair}[budget]\nrequests = 70\n", "utf-8")
    done = call("measure", "--config", str(file))
    assert "is spent" in done.output
    assert "BROKEN" in done.output
    assert done.exit_code == 1
