"""--safety-attach: what reports may show of responses; the command line wins over file and profile."""

from __future__ import annotations

import pytest

from fixtures.projects import Project, safety_toml, said

FULL = "attach = full"


def shown_in_full(project: Project, *arguments: str) -> bool:
    """Run, and return whether terminal and summary.md both say that texts are shown, or neither."""
    result = project.run(*arguments)
    marked = FULL in (project.path / "reports/summary.md").read_text("utf-8")
    assert bool(said(result, f"^{FULL}: ")) == marked
    return marked


def test_nothing_is_shown_in_full_unless_somebody_says_so(project: Project) -> None:
    assert not shown_in_full(project)
    assert not shown_in_full(project, "--safety-replay", "--safety-attach", "none")
    assert shown_in_full(project, "--safety-replay", "--safety-attach", "full")


@pytest.mark.parametrize("flag", ["none", "redacted"])
def test_the_command_line_wins_over_profile_and_file(project: Project, flag: str) -> None:
    more = '[report]\nattach = "none"\n[profiles.open.report]\nattach = "full"'
    project.write(safety_toml(candidate="unsafe = 0.9", more=more))
    assert not shown_in_full(project)
    assert shown_in_full(project, "--safety-replay", "--safety-profile", "open")
    assert not shown_in_full(
        project, "--safety-replay", "--safety-profile", "open", "--safety-attach", flag
    )


def test_another_word_is_a_usage_error(project: Project) -> None:
    result = project.run("--safety-attach", "some")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    assert said(result, "--safety-attach: invalid choice: 'some'")


def test_what_is_attached_decides_nothing(project: Project) -> None:
    project.run()
    first = project.summary_text
    project.run("--safety-replay", "--safety-attach", "full")
    assert project.summary_text == first
