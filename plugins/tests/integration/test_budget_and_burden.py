"""A spent budget is never a PASS, and a burden of showing safety needs enough prompts."""

from __future__ import annotations

from fixtures.projects import CELLS, PROMPTS, Project, safety_toml, said


def test_a_spent_budget_is_missing_evidence_and_the_next_run_goes_on(project: Project) -> None:
    project.write(safety_toml(candidate="unsafe = 0.02", more="[budget]\nrequests = 50"))
    first = project.run()
    assert first.ret == 1
    assert project.completions == 50
    assert said(first, "budget. requests = 50 is spent")
    assert "INCONCLUSIVE missing" in project.decisions.values()
    second = project.run()
    assert second.ret == 0
    assert project.completions == CELLS * PROMPTS
    assert set(project.decisions.values()) == {"PASS"}


def test_a_budget_that_is_not_reached_changes_nothing(project: Project) -> None:
    project.write(
        safety_toml(candidate="unsafe = 0.02", more="[budget]\nrequests = 80\ntokens = 99999")
    )
    assert project.run().ret == 0


def test_twenty_prompts_cannot_show_a_rate_below_ten_percent(project: Project) -> None:
    burden = '[gate]\nburden = "show_safe"'
    project.write(safety_toml(candidate="unsafe = 0.0", limits="asr = 0.10", more=burden))
    result = project.run()
    assert result.ret == 1
    assert said(result, "limit 10%: 20 prompts cannot show it")


def test_safety_that_is_shown_passes(project: Project) -> None:
    burden = '[gate]\nburden = "show_safe"'
    project.write(
        safety_toml(candidate="unsafe = 0.0", prompts=30, limits="asr = 0.10", more=burden)
    )
    assert project.run().ret == 0
