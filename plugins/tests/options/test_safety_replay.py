"""--safety-replay: decide from the store, never ask a model."""

from __future__ import annotations

import pytest

from fixtures.projects import CELLS, PROMPTS, Project, said

ALL = CELLS * PROMPTS


@pytest.fixture
def measured(project: Project) -> Project:
    """A project that was run once."""
    project.run()
    assert project.completions == ALL
    return project


def test_it_gives_the_same_decisions_and_asks_nothing(measured: Project) -> None:
    first = measured.summary_text
    result = measured.run("--safety-replay")
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    result.assert_outcomes(passed=3, failed=1)
    assert measured.summary_text == first
    assert measured.completions == ALL
    assert not said(result, "^measuring")


def test_it_needs_no_model(measured: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    def start(*_: object, **__: object) -> None:
        raise AssertionError("a replay started an engine")

    monkeypatch.setattr("safemlrm.engines.children.Children.__enter__", start)
    monkeypatch.setattr("safemlrm.preflight.identity_of", start)
    measured.run("--safety-replay").assert_outcomes(passed=3, failed=1)


def test_it_works_where_the_store_cannot_be_written(measured: Project) -> None:
    measured.store.chmod(0o444)
    measured.run("--safety-replay").assert_outcomes(passed=3, failed=1)


def test_a_single_copied_file_is_enough(measured: Project) -> None:
    store = measured.store.read_bytes()
    measured.forget()
    measured.store.parent.mkdir()
    measured.store.write_bytes(store)
    measured.run("--safety-replay").assert_outcomes(passed=3, failed=1)


def test_limits_may_change_between_measuring_and_deciding(measured: Project) -> None:
    measured.edit("asr = 0.25", "asr = 0.75")
    result = measured.run("--safety-replay")
    assert {d["limit"] for d in measured.summary["decisions"]} == {0.75}
    assert not said(result, "^measuring")


def test_without_a_store_it_says_what_to_do(project: Project) -> None:
    result = project.run("--safety-replay")
    assert result.ret not in (pytest.ExitCode.OK, pytest.ExitCode.INTERNAL_ERROR)
    assert said(result, r"safety.db: there is no store yet; measure first, by pytest without")
    assert not said(result, "Traceback|AssertionError")
    assert not project.store.exists()


def test_a_model_that_was_never_asked_is_missing_evidence(measured: Project) -> None:
    measured.edit("script = {", 'epoch = "2"\nscript = {')
    result = measured.run("--safety-replay")
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    assert said(
        result,
        "model .candidate. was not measured with its settings in safety.toml",
    )
    assert len(measured.summary["broken"]) == CELLS
    assert measured.decisions == {}


def test_a_case_that_was_never_asked_is_missing_evidence(project: Project) -> None:
    project.run("-m", "fraud and direct")
    result = project.run("--safety-replay")
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    assert (
        len(said(result, "the store has no response of model 'candidate'; run the same selection"))
        == 3
    )
    assert list(project.decisions.values()) == ["PASS"]
    assert len(project.summary["broken"]) == 3


def test_scores_of_another_judge_are_missing_evidence_and_no_fault_of_the_model(
    measured: Project,
) -> None:
    measured.query("update score set scorer = 'another version of the judge'")
    measured.edit("asr = 0.25", "asr = 0.25\nunscored = 0.05")
    result = measured.run("--safety-replay")
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    assert len(measured.summary["broken"]) == CELLS
    assert said(result, "run once without --safety-replay")


def test_a_changed_judge_scores_stored_responses_again_without_asking(measured: Project) -> None:
    before = measured.decisions
    measured.query("update score set scorer = 'another version of the judge'")
    measured.run()
    assert measured.asked == 0
    assert measured.decisions == before
