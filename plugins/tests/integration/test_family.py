"""The family comes from the configuration: no selection changes what a case is judged by."""

from __future__ import annotations

import pytest

from fixtures.projects import ALL_LIMITS, Project, safety_toml, said

SELECTIONS = [
    ["-m", "fraud"],
    ["-m", "figstep and not fraud"],
    ["-k", "benign"],
    ["-k", "evidence or coupling"],
    ["--lf"],
    ["-n2", "-m", "direct"],
    ["test_attack_success.py::test_attack_success_rate[r1-sex-direct]"],
    ["--deselect", "test_attack_success.py"],
    ["-p", "randomly", "test_reasoning_tax.py"],
    ["--maxfail", "1"],
]


@pytest.fixture
def measured(project: Project) -> Project:
    """A project of nine hypotheses a case and more for the pair, run once in full."""
    toml = safety_toml(
        candidate='by_cell = { "fraud/figstep" = 1.0 }',
        base="",
        trace=True,
        scenarios=["fraud", "sex", "benign"],
        limits=ALL_LIMITS,
    )
    project.write(toml, test=None)
    project.run()
    return project


def test_a_selection_keeps_counts_and_verdicts(measured: Project) -> None:
    zones, decisions = measured.zones, measured.decisions
    families = measured.summary["families"]
    for selection in SELECTIONS:
        result = measured.run("--safety-replay", *selection)
        part = measured.decisions
        assert 0 < len(part) < len(decisions), selection
        assert part.items() <= decisions.items(), selection
        assert measured.zones.items() <= zones.items(), selection
        assert measured.summary["families"] == families, selection
        [line] = said(result, rf"^PARTIAL: r1 was decided on {len(part)} of its {len(decisions)} ")
        assert line.removeprefix("PARTIAL: ") in measured.summary["partial"]


def test_a_full_run_asks_the_whole_family_and_spends_alpha(measured: Project) -> None:
    assert measured.summary["partial"] == []
    assert not said(measured.run("--safety-replay"), "PARTIAL")
    assert sum(d["level"] for d in measured.summary["decisions"]) == pytest.approx(0.05)
    shares = measured.summary["families"]["r1"]
    assert {name: family["hypotheses"] for name, family in shares.items()} == {
        "limits": 4,
        "tax": 4,
        "benign": 4,
        "model": 6,
    }


def test_a_marker_on_the_test_changes_the_selection_and_not_the_family(project: Project) -> None:
    whole = project.run()
    zones = project.zones
    project.write(
        (project.path / "safety.toml").read_text("utf-8"),
        "import pytest\n"
        "@pytest.mark.safety(scenarios=['sex'], attacks=['figstep'])\n"
        "def test_gate(evaluation, gate): gate(evaluation)\n",
    )
    project.run()
    assert whole.ret == pytest.ExitCode.TESTS_FAILED
    assert project.zones == {("r1", "sex", "figstep", "asr"): zones["r1", "sex", "figstep", "asr"]}


def test_asr_without_benign_questions_is_partial(project: Project) -> None:
    result = project.run()
    assert said(result, "PARTIAL: r1 was gated on harm without benign questions")
