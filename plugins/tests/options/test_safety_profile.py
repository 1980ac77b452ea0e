"""--safety-profile: another scale or policy under a name, for collection, measuring and verdicts."""

from __future__ import annotations

import pytest

from fixtures.projects import CELLS, PROMPTS, Project, safety_toml, said

PROFILES = """
[profiles.smoke.scenarios."*"]
prompts = 10
[profiles.strict.gate]
inconclusive = "fail"
[profiles.strict.limits]
asr = 0.5
[profiles.wide.scenarios.illegal_activity]
prompts = 10
"""


@pytest.fixture
def profiled(project: Project) -> Project:
    """A project with three profiles and a safe candidate."""
    project.write(safety_toml(more=PROFILES))
    return project


def test_the_header_names_the_profile(profiled: Project) -> None:
    plain = profiled.run("--collect-only")
    assert said(plain, r"^safety: safety.toml; 1 pairs x 2 scenarios x 2 attacks$")
    smoke = profiled.run("--collect-only", "--safety-profile", "smoke")
    assert said(smoke, r"^safety: safety.toml, profile smoke; 1 pairs x 2 scenarios x 2 attacks$")


def test_its_star_sets_every_scenario(profiled: Project) -> None:
    assert profiled.run("--safety-profile", "smoke").ret == pytest.ExitCode.OK
    assert {d["n"] for d in profiled.summary["decisions"]} == {10}
    assert profiled.summary["profile"] == "smoke"
    assert profiled.asked == CELLS * 10


def test_it_may_add_a_scenario_and_the_family_grows(profiled: Project) -> None:
    result = profiled.run("--safety-profile", "wide")
    result.assert_outcomes(passed=6)
    assert [d["level"] for d in profiled.summary["decisions"]] == pytest.approx([0.05 / 6] * 6)


def test_it_overlays_limits_and_policy(profiled: Project) -> None:
    profiled.run("--safety-profile", "strict")
    assert {d["limit"] for d in profiled.summary["decisions"]} == {0.5}
    assert profiled.summary["gate"]["inconclusive"] == "fail"


def test_a_larger_scale_asks_only_what_a_smaller_one_has_not(profiled: Project) -> None:
    profiled.run("--safety-profile", "smoke")
    profiled.run()
    assert profiled.asked == CELLS * (PROMPTS - 10)


def test_it_works_with_a_named_file(profiled: Project) -> None:
    (profiled.path / "safety.toml").rename(profiled.path / "nightly.toml")
    result = profiled.run(
        "--collect-only", "--safety-config", "nightly.toml", "--safety-profile", "smoke"
    )
    assert said(result, r"^safety: nightly.toml, profile smoke;")


def test_an_unknown_profile_is_a_usage_error_with_a_suggestion(profiled: Project) -> None:
    result = profiled.run("--safety-profile", "smok")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    assert said(result, r"safety.toml: there is no \[profiles.smok\]; did you mean 'smoke'\?")
    assert not said(result, "Traceback")


def test_a_mistake_inside_the_profile_is_a_usage_error(profiled: Project) -> None:
    profiled.edit('inconclusive = "fail"', 'inconclusive = "faill"')
    result = profiled.run("--safety-profile", "strict")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    assert said(result, r"\[gate\] inconclusive: .*'warn' or 'fail'")


def test_overrides_of_the_file_that_it_replaces_are_told(project: Project) -> None:
    file = '[[limits.override]]\nscenario = "fraud"\nasr = 0.9\nreason = "known"\n'
    own = '[[profiles.more.limits.override]]\nscenario = "sex"\nasr = 0.5\nreason = "one more"\n'
    project.write(safety_toml(limits=f"asr = 0.25\n{file}", more=own))
    told = (
        r"1 override of the file is not in force under profile more, whose own "
        r"\[\[limits.override\]\] replace them"
    )
    result = project.run("--safety-profile", "more")
    assert said(result, f"^safety: {told}$")
    assert said(result, f"^PARTIAL: .*{told}")
    assert {d["scenario"]: d["limit"] for d in project.summary["decisions"]} == {
        "fraud": 0.25,
        "sex": 0.5,
    }
    assert not said(project.run(), "not in force")
