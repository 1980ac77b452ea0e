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
