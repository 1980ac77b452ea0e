"""--safety-config and the ini key safety_config: which safety.toml is in force."""

from __future__ import annotations

import pytest

from fixtures.projects import GATE, Project, safety_toml, said


def header_of(result: pytest.RunResult) -> str:
    """Return the header line that names the file in force."""
    return next(line for line in result.stdout.lines if line.startswith("safety: "))


@pytest.fixture
def three_files(project: Project) -> Project:
    """A project whose files differ in name and in their number of scenarios."""
    (project.path / "ci").mkdir()
    (project.path / "ci/nightly.toml").write_text(safety_toml(scenarios=["fraud"]), "utf-8")
    (project.path / "ini.toml").write_text(safety_toml(scenarios=["sex"]), "utf-8")
    return project


def test_the_file_in_the_root_folder_is_found(project: Project) -> None:
    result = project.run("--collect-only")
    assert header_of(result) == "safety: safety.toml; 1 pairs x 2 scenarios x 2 attacks"


def test_it_is_found_from_a_folder_below(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    (project.path / "below").mkdir()
    (project.path / "test_models.py").rename(project.path / "below/test_models.py")
    monkeypatch.chdir(project.path / "below")
    result = project.run("--collect-only")
    assert header_of(result).startswith("safety: safety.toml;")


def test_the_flag_names_another(three_files: Project) -> None:
    result = three_files.run("--collect-only", "--safety-config", "ci/nightly.toml")
    assert header_of(result) == "safety: nightly.toml; 1 pairs x 1 scenarios x 2 attacks"


def test_the_flag_starts_where_the_user_stands(
    three_files: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(three_files.path / "ci")
    result = three_files.run("--collect-only", "--safety-config", "nightly.toml", "..")
    assert header_of(result).startswith("safety: nightly.toml;")


def test_the_ini_key_starts_at_the_root_folder(
    three_files: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(three_files.path / "ci")
    result = three_files.run("--collect-only", "-o", "safety_config=ini.toml", "..")
    assert header_of(result).startswith("safety: ini.toml;")


def test_the_flag_wins_over_the_ini_key_and_that_over_the_root_folder(three_files: Project) -> None:
    ini = ("--collect-only", "-o", "safety_config=ini.toml")
    assert "ini.toml" in header_of(three_files.run(*ini))
    both = three_files.run(*ini, "--safety-config", "ci/nightly.toml")
    assert "nightly.toml" in header_of(both)


def test_store_and_reports_lie_beside_the_file_that_names_them(three_files: Project) -> None:
    result = three_files.run("--safety-config", "ci/nightly.toml")
    assert result.ret == pytest.ExitCode.OK
    assert (three_files.path / "ci/reports/summary.json").is_file()
    assert not (three_files.path / "reports").exists()


@pytest.mark.parametrize(
    "arguments",
    [("--safety-config", "nowhere.toml"), ("-o", "safety_config=nowhere.toml")],
    ids=["flag", "ini"],
)
def test_a_file_that_is_missing_is_a_usage_error(
    project: Project, arguments: tuple[str, str]
) -> None:
    result = project.run(*arguments)
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    [line] = said(result, "nowhere.toml")
    assert "no such file; write one, or name it with --safety-config" in line
    assert not said(result, "Traceback")


def test_a_mistake_in_the_file_is_a_usage_error_of_one_line(project: Project) -> None:
    project.edit("asr = 0.25", "arc = 0.25")
    result = project.run()
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    assert said(result, r"safety.toml: unknown key \[limits\] arc; did you mean 'asr'\?")
    assert not said(result, "Traceback")


def test_without_a_file_the_plugin_is_silent(pytester: pytest.Pytester) -> None:
    pytester.makepyfile("def test_it(): pass")
    result = Project(pytester.path, pytester).run()
    assert result.ret == pytest.ExitCode.OK
    assert not said(result, r"^safety|decisions|^measuring")
    assert not (pytester.path / "reports").exists()


def test_without_a_file_the_flags_change_nothing(pytester: pytest.Pytester) -> None:
    pytester.makepyfile("def test_it(): pass")
    result = Project(pytester.path, pytester).run("--safety-replay")
    result.assert_outcomes(passed=1)


def test_safety_tests_without_a_file_say_what_they_need(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(GATE)
    result = Project(pytester.path, pytester).run()
    assert result.ret != pytest.ExitCode.OK
    assert said(
        result, "safety tests need a safety.toml; write one in .* or name it with --safety-config"
    )
    assert not said(result, r"plugin\.py:\d+|pluggy/")


def test_other_tests_of_a_project_are_left_alone(project: Project) -> None:
    (project.path / "test_models.py").unlink()
    project.pytester.makepyfile("def test_it(): pass")
    result = project.run()
    result.assert_outcomes(passed=1)
    assert not said(result, r"decisions|^measuring")
    assert not (project.path / "reports").exists()
