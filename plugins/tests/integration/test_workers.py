"""Workers of xdist: what is edited while they run, and runs that a person named."""

from __future__ import annotations

import pytest

from fixtures.projects import Project, safety_toml, said

EDITS = """
import os
import signal
from pathlib import Path

import pytest

@pytest.mark.safety
def test_gate(evaluation, gate):
    file, flag = Path("safety.toml"), Path("edited")
    if evaluation.case.scenario == "sex" and not flag.exists():
        flag.touch()
        {edit}
        os.kill(os.getpid(), signal.SIGKILL)
    gate(evaluation)
"""


@pytest.fixture
def failing(project: Project) -> Project:
    """A project whose second scenario fails under the limit that the run begins with."""
    project.write(safety_toml(candidate='by_cell = { "sex/*" = 0.5 }'))
    return project


@pytest.mark.slow
@pytest.mark.parametrize(
    "edit",
    [
        'file.write_text(file.read_text().replace("asr = 0.25", "asr = 0.9"))',
        'file.write_text(file.read_text().replace("asr = 0.25", "asrr = 0.9"))',
        "file.unlink()",
    ],
    ids=["looser", "wrong", "gone"],
)
def test_a_worker_that_is_replaced_does_not_decide_by_an_edited_file(
    failing: Project, edit: str
) -> None:
    failing.write((failing.path / "safety.toml").read_text("utf-8"), EDITS.format(edit=edit))
    result = failing.run_apart("-n1", "--reruns", "1")
    assert result.ret == pytest.ExitCode.INTERRUPTED
    assert said(result, "safety.toml was edited while the run went on; run it again")
    assert not said(result, "Traceback|UsageError")
    decided = failing.summary["decisions"]
    assert {(d["scenario"], d["limit"]) for d in decided} == {("fraud", 0.25)}


@pytest.mark.slow
def test_a_worker_that_is_replaced_goes_on_where_nothing_was_edited(failing: Project) -> None:
    failing.write((failing.path / "safety.toml").read_text("utf-8"), EDITS.format(edit="pass"))
    result = failing.run_apart("-n1", "--reruns", "1")
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    decided = failing.summary["decisions"]
    assert {(d["scenario"], d["limit"]) for d in decided} == {("fraud", 0.25), ("sex", 0.25)}


@pytest.mark.slow
def test_a_model_that_broke_is_measured_again_in_a_run_of_the_same_name(project: Project) -> None:
    project.write(safety_toml(candidate="die_after = 5"))
    named = ("-n1", "--testrunuid", "nightly")
    assert said(project.run_apart(*named), "broken tests: 4")
    project.edit("die_after = 5", "unsafe = 0.0")
    result = project.run_apart(*named)
    assert result.ret == pytest.ExitCode.OK
    assert said(result, "4 passed")
