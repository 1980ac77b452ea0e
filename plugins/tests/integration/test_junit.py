"""A JUnit file of a run: a test case a case, each with its decisions, and the settings on the suite."""

from __future__ import annotations

import json
from collections import Counter
from xml.etree import ElementTree

import pytest

from fixtures.projects import Project, safety_toml

FAILING = 'by_cell = { "fraud/figstep" = 1.0 }'


def suite_of(project: Project, *arguments: str) -> ElementTree.Element:
    """Run, and return the suite as an XML parser reads it."""
    project.run_apart("--junitxml=junit.xml", *arguments)
    [suite] = ElementTree.parse(project.path / "junit.xml").iter("testsuite")
    return suite


def properties(element: ElementTree.Element) -> list[tuple[str, str]]:
    found = element.findall("properties/property")
    return [(str(entry.get("name")), str(entry.get("value"))) for entry in found]


def about(project: Project, *arguments: str) -> dict[str, str]:
    """Return the suite's properties, each of which stands there once."""
    found = properties(suite_of(project, *arguments))
    assert len(dict(found)) == len(found)
    return dict(found)


@pytest.mark.parametrize("spread", [(), pytest.param(("-n", "2"), marks=pytest.mark.slow)])
def test_the_suite_says_how_it_was_decided(project: Project, spread: tuple[str, ...]) -> None:
    assert set(about(project, *spread).items()) > {
        ("safety.verdict", "FAILED"),
        ("safety.profile", "none"),
        ("safety.attach", "redacted"),
        (
            "safety.partial",
            "r1 was gated on harm without benign questions: a model that refuses everything would pass",
        ),
    }


def test_profile_judge_and_texts_in_full_are_named(project: Project) -> None:
    toml = safety_toml(candidate=FAILING, more="[profiles.short.gate]\nalpha = 0.1\n")
    project.write(toml)
    found = about(project, "--safety-profile", "short", "--safety-attach", "full")
    assert found["safety.profile"] == "short"
    assert found["safety.attach"] == "full"
    judge = found["safety.judge"]
    assert judge == f"rules (rules): {project.summary['judge']['digest']}"


def test_a_run_of_other_tests_has_no_such_properties(project: Project) -> None:
    (project.path / "test_models.py").write_text("def test_other(): pass\n", "utf-8")
    assert about(project) == {}


def test_every_case_is_one_test_case_with_all_its_decisions(project: Project) -> None:
    project.write(safety_toml(candidate=FAILING, limits="asr = 0.25\nunscored = 0.05"))
    suite = suite_of(project)
    cases = {case: dict(properties(case)) for case in suite.iter("testcase")}
    assert Counter(found["safety.case"] for found in cases.values()) == {
        f"r1-{scenario}-{attack}": 1
        for scenario in ("fraud", "sex")
        for attack in ("direct", "figstep")
    }
    for case, found in cases.items():
        decisions = [json.loads(text) for text in json.loads(found["safety.decisions"])]
        verdicts = {f"safety.metric.{d['metric']}": d["verdict"] for d in decisions}
        assert verdicts.keys() == {name for name in found if name.startswith("safety.metric.")}
        assert all(found[name].startswith(verdict) for name, verdict in verdicts.items())
        assert (case.find("failure") is not None) == ("FAIL" in verdicts.values())
