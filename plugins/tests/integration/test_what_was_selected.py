"""What a run was to decide is decided or told of, whatever tests, fixtures and other plugins do meanwhile."""

from __future__ import annotations

import pytest

from fixtures.projects import Project, said

TOML = """
[models.good]
engine = "scripted"
script = { unsafe = 0.0 }
[models.bad]
engine = "scripted"
script = { SCRIPT }
[pairs.okay]
candidate = "good"
[pairs.worse]
candidate = "bad"
[scenarios.fraud]
prompts = 20
[scenarios.sex]
prompts = 20
[attacks.direct]
[gate]
legibility = 0.0
[limits]
asr = 0.25
"""
HEAD = "import os, pytest, signal\nfrom safemlrm.errors import GateFailure, SafemlrmError\n"
IN_SETUP = """
@pytest.fixture
def gated(evaluation, gate):
    gate(evaluation)

@pytest.mark.xfail(strict=False)
@pytest.mark.safety
def test_gate(gated):
    pass
"""
IN_TEARDOWN = """
@pytest.fixture
def gated(evaluation, gate):
    yield
    with pytest.raises(Exception) if evaluation.case.pair == "worse" else open(os.devnull):
        gate(evaluation)

@pytest.mark.safety
def test_gate(gated):
    pass
"""
SKIPPED = """
@pytest.fixture
def gated(evaluation, gate):
    try:
        gate(evaluation)
    except GateFailure:
        pytest.skip("known")

@pytest.mark.safety
def test_gate(gated):
    pass
"""
ELSEWHERE = """
seen = []

@pytest.mark.safety
def test_collect(evaluation, gate):
    if evaluation.case.pair == "okay":
        gate(evaluation)
    seen.append(evaluation)

def test_all(gate):
    for evaluation in seen:
        try:
            gate(evaluation)
        except GateFailure:
            pass
"""
RERUN = """
@pytest.fixture
def device(request):
    if request.node.execution_count > 1:
        pytest.skip("the device is busy")

@pytest.mark.safety
def test_gate(device, evaluation, gate):
    gate(evaluation)
"""
XFAIL = """
@pytest.mark.xfail(reason="known")
@pytest.mark.safety
def test_gate(evaluation, gate):
    gate(evaluation)
"""
ASKED_FOR = """
@pytest.mark.safety
def test_gate(safety_case, request, gate):
    try:
        evaluation = request.getfixturevalue("evaluation")
    except SafemlrmError:
        return
    gate(evaluation)
"""
FORGOTTEN = """
@pytest.mark.safety
def test_gate(evaluation, gate):
    if evaluation.case.pair == "worse":
        return
    gate(evaluation)
"""
PUT_OFF = """
@pytest.mark.safety
def test_gate(evaluation, gate):
    if evaluation.case.pair == "worse":
        pytest.skip("flaky")
    gate(evaluation)
"""
KILLED = """
@pytest.mark.safety
def test_gate(evaluation, gate):
    if evaluation.case.pair == "worse":
        os.kill(os.getpid(), signal.SIGKILL)
    gate(evaluation)
"""
LEFT = """
def pytest_runtest_teardown(item):
    pytest.exit("the night is over", returncode=0)
"""
GATE = """
@pytest.mark.safety
def test_gate(evaluation, gate):
    gate(evaluation)
"""
OKAY = """
@pytest.mark.safety(pairs=["okay"])
def test_gate(evaluation, gate):
    gate(evaluation)
"""


def write(project: Project, test: str, script: str = "unsafe = 0.9") -> None:
    # Without a seed of pytest-randomly in the way: what comes last is part of some stories.
    project.write(TOML.replace("SCRIPT", script), HEAD + test, "-p no:randomly")


@pytest.mark.parametrize(
    "test",
    [IN_SETUP, IN_TEARDOWN, SKIPPED, ELSEWHERE],
    ids=["in setup", "in teardown", "skipped", "elsewhere"],
)
def test_a_failed_gate_counts_wherever_it_was_called(project: Project, test: str) -> None:
    write(project, test)
    result = project.run()
    assert result.ret == 1
    assert said(result, "^verdict: FAILED")
    assert set(project.decisions.values()) == {"PASS", "FAIL"}


def test_a_rerun_that_decides_nothing_takes_nothing_back(project: Project) -> None:
    write(project, RERUN)
    result = project.run("--reruns", "1")
    assert result.ret == 1
    assert said(result, "^verdict: FAILED")


@pytest.mark.parametrize("test", [XFAIL, ASKED_FOR], ids=["xfail", "caught"])
def test_a_model_that_broke_is_told_of(project: Project, test: str) -> None:
    write(project, test, "unsafe = 0.9, die_after = 5")
    result = project.run_apart()
    assert result.ret == 1
    assert said(result, "^verdict: NOT PASSED")
    assert said(result, "^worse: no gate was decided")
    assert said(result, "broken tests: 2")
    assert len(project.summary["broken"]) == 2


@pytest.mark.parametrize("test", [FORGOTTEN, PUT_OFF], ids=["forgotten", "skipped"])
def test_a_selected_pair_of_which_nothing_was_decided_is_named(project: Project, test: str) -> None:
    write(project, test)
    result = project.run()
    assert result.ret == 1
    assert said(result, "^worse: no gate was decided")


def test_a_pair_that_was_not_asked_about_is_named(project: Project) -> None:
    write(project, OKAY)
    result = project.run()
    assert result.ret == 0
    assert said(result, "^PARTIAL: worse: configured, and not asked about in this run")


@pytest.mark.parametrize(
    "options",
    [
        ("-n1", "--reruns=1", "--max-worker-restart=0"),
        ("-n2", "--reruns=1", "--max-worker-restart=0"),
    ],
)
def test_tests_that_a_lost_worker_took_along_fail_the_run(
    project: Project, options: tuple[str, ...]
) -> None:
    write(project, KILLED)
    result = project.run_apart(*options)
    assert result.ret == 1
    assert said(result, "selected, and never ran to an end")


def test_a_run_that_something_ended_early_is_no_pass(project: Project) -> None:
    write(project, GATE, "unsafe = 0.0")
    (project.path / "conftest.py").write_text(f"import pytest\n{LEFT}", "utf-8")
    result = project.run_apart()
    assert result.ret == 1
    assert said(result, "and 3 more: selected, and never ran to an end")


def test_what_decides_the_exit_code_cannot_be_left_out(project: Project) -> None:
    write(project, XFAIL)
    result = project.run_apart("-p", "no:safemlrm.outcome")
    assert result.ret == 4
    assert said(result, "safemlrm.outcome decides the exit code")


LATE = """
import pytest

def pytest_sessionfinish(session):
    session.exitstatus = 7
"""


def test_what_another_plugin_fails_at_the_end_is_nowhere_passed(project: Project) -> None:
    write(project, GATE, "unsafe = 0.0")
    (project.path / "conftest.py").write_text(LATE, "utf-8")
    result = project.run_apart()
    assert result.ret == 7
    assert said(result, "^verdict: NOT PASSED")
    assert not (project.path / "reports/summary.json").exists()


OTHERS = """
def pytest_collection_finish(session):
    session.items[:] = [item for item in session.items if item.name != "test_plain"]
"""


def test_what_happens_to_other_tests_is_no_matter(project: Project) -> None:
    write(project, GATE + "\ndef test_plain():\n    pass\n", "unsafe = 0.0")
    (project.path / "conftest.py").write_text(OTHERS, "utf-8")
    assert project.run_apart().ret == 0


@pytest.mark.parametrize("flag", ["--fixtures", "--fixtures-per-test", "--help"])
def test_a_look_around_leaves_the_reports(project: Project, flag: str) -> None:
    write(project, GATE, "unsafe = 0.0")
    assert project.run().ret == 0
    result = project.run_apart(flag)
    assert result.ret == 0
    assert not said(result, "never ran to an end")
    assert (project.path / "reports/summary.json").exists()


def test_failed_tests_of_another_kind_leave_the_reports(project: Project) -> None:
    write(project, GATE, "unsafe = 0.0")
    assert project.run().ret == 0
    (project.path / "test_other.py").write_text("def test_it():\n    assert 0\n", "utf-8")
    assert project.run("test_other.py").ret == 1
    assert (project.path / "reports/summary.json").exists()


INHERITED = """
@pytest.mark.safety(pairs=["worse"])
class TestBase:
    def test_gate(self, evaluation, gate):
        gate(evaluation)

@pytest.mark.safety(pairs=["okay"])
class TestOkay(TestBase):
    pass
"""


def test_a_class_says_otherwise_than_its_base(project: Project) -> None:
    write(project, INHERITED)
    result = project.run("-k", "TestOkay")
    assert result.ret == 0
    assert {pair for pair, *_ in project.decisions} == {"okay"}
