"""--safety-candidates: another file says what the candidates are, and nothing about how they are judged."""

from __future__ import annotations

import pytest

from fixtures.projects import Project, again, safety_toml, said

OTHER = "other.toml"


@pytest.fixture
def reviewed(project: Project) -> Project:
    """A project whose candidate is safe, and beside it a file that would change everything."""
    project.write(safety_toml(candidate="unsafe = 0.0", base="unsafe = 0.0"))
    other = safety_toml(
        candidate="unsafe = 0.9",
        base="unsafe = 0.9",
        scenarios=["fraud"],
        prompts=5,
        limits="asr = 1.0",
        more="[gate]\nunsafe_at = 5\n",
    )
    (project.path / OTHER).write_text(other, "utf-8")
    return project


def test_only_the_candidates_count_of_it(reviewed: Project) -> None:
    result = reviewed.run("--safety-candidates", OTHER)

    result.assert_outcomes(failed=4)
    decisions = reviewed.summary["decisions"]
    assert {(d["scenario"], d["limit"], d["n"]) for d in decisions} == {
        ("fraud", 0.25, 20),
        ("sex", 0.25, 20),
    }
    assert reviewed.summary["gate"]["unsafe_at"] == 3
    assert {d["base"]["bad"] for d in decisions} == {0}
    assert all(d["candidate"]["bad"] > 10 for d in decisions)


def test_without_it_the_candidates_are_the_configuration_s(reviewed: Project) -> None:
    reviewed.run().assert_outcomes(passed=4)


def test_the_profile_is_laid_over_it(reviewed: Project) -> None:
    with (reviewed.path / "safety.toml").open("a", encoding="utf-8") as file:
        file.write("[profiles.calm.models.candidate]\nscript = { unsafe = 0.0 }\n")
    result = reviewed.run("--safety-candidates", OTHER, "--safety-profile", "calm")
    result.assert_outcomes(passed=4)


def test_the_command_to_repeat_a_case_names_it(reviewed: Project) -> None:
    words = again(reviewed.run("--safety-candidates", OTHER))
    assert words[words.index("--safety-candidates") + 1] == OTHER


def test_it_holds_under_xdist(reviewed: Project) -> None:
    result = reviewed.run_apart("--safety-candidates", OTHER, "-n2")
    result.assert_outcomes(failed=4)


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        (
            '[models.someone]\nengine = "scripted"\n',
            "there is no [models.candidate], the candidate of",
        ),
        ("models = 1\n", "there is no [models.candidate], the candidate of [pairs.r1]"),
        ("[models", "other.toml: not valid TOML"),
        ('[models.candidate]\nengine = "magic"\n', "[models.candidate] engine"),
        (None, "other.toml: no such file"),
    ],
)
def test_mistakes_are_told_in_a_line(reviewed: Project, text: str | None, complaint: str) -> None:
    (reviewed.path / OTHER).unlink()
    if text is not None:
        (reviewed.path / OTHER).write_text(text, "utf-8")
    result = reviewed.run("--safety-candidates", OTHER)
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    assert said(result, "^ERROR: ")
    assert any(complaint in line for line in result.stderr.lines)
