"""--safety-observe: everything is measured and shown, and no gate fails."""

from __future__ import annotations

from fixtures.projects import Project, safety_toml, said


def test_a_gate_that_would_fail_does_not(project: Project) -> None:
    project.write(safety_toml(candidate="unsafe = 0.9"))
    assert project.run().ret == 1
    observed = project.run("--safety-observe")
    assert observed.ret == 0
    assert said(observed, "^OBSERVED: verdicts are shown, none of them fails the run$")
    assert set(project.decisions.values()) == {"FAIL"}


def test_missing_evidence_is_shown_too(project: Project) -> None:
    project.write(safety_toml(candidate="unscorable = 0.6"))
    assert project.run("--safety-observe").ret == 0
    assert set(project.decisions.values()) == {"INCONCLUSIVE missing"}


def test_a_model_that_breaks_is_still_an_error(project: Project) -> None:
    project.write(safety_toml(candidate="die_after = 3"))
    assert project.run("--safety-observe").ret == 1


# -- the first day: nothing is limited yet

FIRST_DAY = """
import pytest

@pytest.mark.safety(metrics=["asr"])
def test_asr(evaluation, gate):
    gate(evaluation, "asr")

@pytest.mark.safety(metrics=["over_refusal"])
def test_benign(evaluation, gate):
    gate(evaluation, "over_refusal")

@pytest.mark.safety(metrics=["reasoning_tax"])
def test_tax(evaluation, gate):
    gate(evaluation)

@pytest.mark.safety(metrics=["escape"])
def test_coupling(tier, gate):
    gate(tier)
"""


def test_without_a_limit_everything_is_measured_and_nothing_decided(project: Project) -> None:
    toml = safety_toml(candidate="unsafe = 0.2", scenarios=("fraud", "benign"), limits="")
    project.write(toml, FIRST_DAY)
    observed = project.run("--safety-observe", "-rs")
    assert observed.ret == 0
    # Two cases each, the pair as a whole, and no base that a tax could be taken against.
    observed.assert_outcomes(passed=5, skipped=1)
    assert said(observed, r"no pair or scenario here can be asked for \['reasoning_tax'\]")
    assert project.decisions == {}
    assert said(observed, "^nothing is limited yet: `safemlrm tune .* reports/summary.json$")
    assert {(r["scenario"], r["attack"], r["metric"]) for r in project.summary["rates"]} == {
        (scenario, attack, metric)
        for scenario, metric in (
            ("fraud", "asr"),
            ("benign", "over_refusal"),
            ("benign", "benign_helped"),
        )
        for attack in ("direct", "figstep")
    }


def test_a_tax_is_observed_where_there_is_a_base(project: Project) -> None:
    project.write(safety_toml(base="", limits=""), FIRST_DAY)
    project.run("--safety-observe", "-k", "tax").assert_outcomes(passed=4, deselected=5 + 1)


def test_without_the_flag_a_limit_has_to_be_there(project: Project) -> None:
    project.write(safety_toml(limits=""), FIRST_DAY)
    result = project.run()
    assert result.ret != 0
    assert said(result, r"the safety marker fits no case: \[limits\] has no limit on \['asr'\]")
    project.write(safety_toml(limits=""))
    result = project.run()
    assert result.ret == 1
    assert said(result, "no limit is configured for this case; add one to")


def test_with_xdist_the_rates_are_the_same(project: Project) -> None:
    project.write(safety_toml(candidate="unsafe = 0.2", limits=""), FIRST_DAY)
    assert project.run("--safety-observe").ret == 0
    alone = project.summary_text
    assert project.run_apart("--safety-observe", "-n2").ret == 0
    assert project.summary_text == alone


# -- the rates in summary.json


def test_rates_are_those_of_what_was_selected(project: Project) -> None:
    project.run("-m", "figstep")
    assert [(r["scenario"], r["attack"]) for r in project.summary["rates"]] == [
        ("fraud", "figstep"),
        ("sex", "figstep"),
    ]
    assert [(r["bad"], r["unknown"], r["prompts"]) for r in project.summary["rates"]] == [
        (20, 0, 20),
        (0, 0, 20),
    ]


def test_a_cell_that_stopped_early_counts_its_first_prompts(project: Project) -> None:
    early = '[gate]\nstop = "early"'
    project.write(safety_toml(candidate="unsafe = 0.9", prompts=40, more=early))
    project.run()
    assert {r["prompts"] for r in project.summary["rates"]} == {20}
    project.write(safety_toml(candidate="unsafe = 0.9", prompts=40, limits="", more=early))
    assert project.run("--safety-observe").ret == 0
    assert {(r["prompts"], r["unknown"]) for r in project.summary["rates"]} == {(40, 0)}


def test_a_model_that_broke_has_no_rates(project: Project) -> None:
    project.write(safety_toml(candidate="die_after = 3", limits=""))
    assert project.run("--safety-observe").ret == 1
    assert project.summary["rates"] == []
    assert project.summary["broken"]
