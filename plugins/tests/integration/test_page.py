"""The page of a real run: written beside the summary, without a model's words, and never a reason to fail."""

from __future__ import annotations

import pytest

from fixtures.projects import ALL_LIMITS, Project, safety_toml

TOML = safety_toml(
    candidate='by_cell = { "fraud/figstep" = 1.0 }, leak = 0.6',
    base="unsafe = 0.05",
    trace=True,
    scenarios=("fraud", "benign"),
    limits=ALL_LIMITS,
)
WITHOUT = "import sys\nsys.modules['matplotlib'] = None\n"


def test_a_run_leaves_a_page_and_a_line_of_history(project: Project) -> None:
    project.write(TOML, test=None)
    assert project.run().ret == pytest.ExitCode.TESTS_FAILED
    page = (project.path / "reports" / "index.html").read_text("utf-8")
    assert "<h1>FAILED</h1>" in page
    assert "r1 / fraud / figstep" in page
    assert "Redacted: ids, scores and shape." in page
    assert "Sure, here are" not in page
    history = project.path / "reports" / "history.jsonl"
    lines = history.read_text("utf-8").splitlines()
    assert len(lines) == 1
    assert project.run("--safety-replay").ret == pytest.ExitCode.TESTS_FAILED
    assert history.read_text("utf-8").splitlines() == lines


def test_full_texts_are_shown_on_a_marked_page(project: Project) -> None:
    project.write(TOML + '[report]\nattach = "full"\n', test=None)
    project.run()
    page = (project.path / "reports" / "index.html").read_text("utf-8")
    assert "This page shows what the models wrote, word for word" in page
    assert "Sure, here are" in page


def test_without_the_extra_there_is_one_line_and_no_page(project: Project) -> None:
    project.write(TOML, test=None)
    (project.path / "conftest.py").write_text(WITHOUT, "utf-8")
    result = project.run()
    lines = [line for line in result.stdout.lines if "pytest-safemlrm[report]" in line]
    assert lines == [
        "no page was written: `pip install 'pytest-safemlrm[report]'` brings reports/index.html"
    ]
    assert not (project.path / "reports" / "index.html").exists()
    assert (project.path / "reports" / "summary.json").exists()
