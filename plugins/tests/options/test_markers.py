"""The markers: safety(...) on a test, and one for each pair, scenario and attack to select by."""

from __future__ import annotations

import pytest

from fixtures.projects import Project, safety_toml, said


def marked(arguments: str) -> str:
    """Return a test module whose one test carries safety(...)."""
    return f"""
import pytest

@pytest.mark.safety({arguments})
def test_gate(evaluation, gate):
    gate(evaluation)
"""


def collected(result: pytest.RunResult) -> list[str]:
    """Return the cases a --collect-only -q run lists."""
    lines = said(result, r"::test_\w+\[")
    return [line.split("[")[1].removesuffix("]") for line in lines]


def refused(project: Project, arguments: str) -> pytest.RunResult:
    """Collect a test with a wrong marker: an error of one line, and neither a skip nor a traceback."""
    project.write(safety_toml(), marked(arguments))
    result = project.run()
    assert result.ret in (pytest.ExitCode.USAGE_ERROR, pytest.ExitCode.INTERRUPTED)
    assert not said(result, r"skipped|INTERNALERROR|^measuring|plugin\.py:\d+|pluggy/")
    assert said(result, r"test_models.py::test_gate")
    return result


# -- selecting by slug


@pytest.mark.parametrize(
    ("expression", "cases"),
    [
        ("fraud", ["r1-fraud-direct", "r1-fraud-figstep"]),
        ("figstep and not fraud", ["r1-sex-figstep"]),
        ("r1 and sex and direct", ["r1-sex-direct"]),
        ("direct or sex", ["r1-fraud-direct", "r1-sex-direct", "r1-sex-figstep"]),
        ("safety and fraud and direct", ["r1-fraud-direct"]),
    ],
)
def test_slugs_select(project: Project, expression: str, cases: list[str]) -> None:
    assert collected(project.run("--collect-only", "-q", "-m", expression)) == cases


def test_one_scenario_is_one_command(project: Project) -> None:
    project.write(safety_toml(scenarios=["illegal_activity", "fraud"]))
    result = project.run("-m", "illegal_activity")
    result.assert_outcomes(passed=2, deselected=2)
    assert {d["scenario"] for d in project.summary["decisions"]} == {"illegal_activity"}


def test_all_markers_are_registered(project: Project) -> None:
    lines = project.run("--markers").stdout.str()
    for slug in ("r1: pair r1", "fraud: scenario fraud", "figstep: attack figstep"):
        assert f"@pytest.mark.{slug}" in lines
    assert "@pytest.mark.safety(pairs=None, scenarios=None, attacks=None" in lines
    assert "@pytest.mark.gpu" in lines


@pytest.mark.parametrize(
    ("expression", "wrong", "meant"),
    [
        ("frud", "frud", "fraud"),
        ("not fgstep", "fgstep", "figstep"),
        ("fraud and drect", "drect", "direct"),
    ],
)
def test_a_typo_in_m_costs_nothing(
    project: Project, expression: str, wrong: str, meant: str
) -> None:
    result = project.run("-m", expression)
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    assert said(result, f"no marker is called '{wrong}'; did you mean '{meant}'")
    assert not said(result, "Traceback|^measuring")


def test_a_typo_in_m_is_an_error_with_workers(project: Project) -> None:
    result = project.run("-m", "frud", "-n2")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    assert said(result, "did you mean 'fraud'")


def test_markers_of_other_plugins_and_of_the_user_are_no_typos(project: Project) -> None:
    ini = project.path / "pytest.ini"
    ini.write_text(f"{ini.read_text('utf-8')}markers = fraudulent: mine\n", "utf-8")
    assert project.run("--collect-only", "-q", "-m", "not fraudulent").ret == pytest.ExitCode.OK
    assert project.run("--collect-only", "-q", "-m", "not skip").ret == pytest.ExitCode.OK


# -- safety(...) on a test


@pytest.mark.parametrize(
    ("arguments", "cases"),
    [
        ("", ["r1-fraud-direct", "r1-fraud-figstep", "r1-sex-direct", "r1-sex-figstep"]),
        ("scenarios=['sex']", ["r1-sex-direct", "r1-sex-figstep"]),
        ("scenarios='sex'", ["r1-sex-direct", "r1-sex-figstep"]),
        ("pairs=['r1'], scenarios=['fraud'], attacks=['figstep']", ["r1-fraud-figstep"]),
    ],
)
def test_it_chooses_cases(project: Project, arguments: str, cases: list[str]) -> None:
    project.write(safety_toml(), marked(arguments))
    assert collected(project.run("--collect-only", "-q")) == cases


def test_a_marker_on_the_module_is_narrowed_by_one_on_the_test(project: Project) -> None:
    text = marked("attacks=['figstep']") + "\npytestmark = pytest.mark.safety(scenarios=['sex'])\n"
    project.write(safety_toml(), text)
    assert collected(project.run("--collect-only", "-q")) == ["r1-sex-figstep"]


STACKED = """
from pytest import mark

{module}

{above}
class TestCases:
    {upper}
    {lower}
    def test_gate(self, evaluation, gate):
        gate(evaluation)
"""
SEX, FRAUD, FIGSTEP = (
    f"@mark.safety({each})"
    for each in ("scenarios=['sex']", "scenarios=['fraud']", "attacks=['figstep']")
)


def stacked(module: str = "", above: str = "", upper: str = "", lower: str = "") -> str:
    """Return a test module with safety markers in the places that are given."""
    return STACKED.format(module=module, above=above, upper=upper, lower=lower)


@pytest.mark.parametrize(
    ("places", "where"),
    [
        ({"upper": SEX, "lower": FRAUD}, "it"),
        ({"upper": FRAUD, "lower": FRAUD}, "it"),
        (
            {
                "module": "pytestmark = [mark.safety(scenarios='sex'), mark.safety(scenarios='fraud')]"
            },
            "module test_models.py",
        ),
        ({"above": f"{SEX}\n{FRAUD}", "lower": FIGSTEP}, "class TestCases"),
    ],
    ids=["function", "twice the same", "module", "class"],
)
def test_two_markers_on_one_place_that_say_the_same_are_an_error(
    project: Project, places: dict[str, str], where: str
) -> None:
    project.write(safety_toml(), stacked(**places))
    result = project.run()
    assert result.ret == pytest.ExitCode.INTERRUPTED
    assert said(result, rf"test_gate: two safety markers on {where} give scenarios, and only one")
    assert not said(result, r"^measuring|plugin\.py:\d+")


@pytest.mark.parametrize(
    ("places", "cases"),
    [
        ({"upper": SEX, "lower": FIGSTEP}, ["r1-sex-figstep"]),
        ({"above": SEX, "lower": FRAUD}, ["r1-fraud-direct", "r1-fraud-figstep"]),
        (
            {
                "module": "pytestmark = mark.safety(attacks=['direct'])",
                "above": SEX,
                "upper": FRAUD,
                "lower": FIGSTEP,
            },
            ["r1-fraud-figstep"],
        ),
    ],
    ids=["two arguments", "class and function", "everywhere"],
)
def test_a_nearer_marker_overrides_and_others_add(
    project: Project, places: dict[str, str], cases: list[str]
) -> None:
    project.write(safety_toml(), stacked(**places))
    assert collected(project.run("--collect-only", "-q")) == cases


def test_harmful_scenarios_are_meant_unless_a_benign_one_is_named(project: Project) -> None:
    toml = safety_toml(scenarios=["fraud", "benign"], limits="asr = 0.25\nover_refusal = 0.1")
    project.write(toml, marked(""))
    assert collected(project.run("--collect-only", "-q")) == ["r1-fraud-direct", "r1-fraud-figstep"]
    project.write(toml, marked("scenarios=['benign'], attacks=['direct']"))
    assert collected(project.run("--collect-only", "-q")) == ["r1-benign-direct"]


def test_metrics_choose_the_cases_that_have_such_a_limit(project: Project) -> None:
    override = '[[limits.override]]\nscenario = "sex"\nover_refusal = 0.2\nreason = "none"\n'
    limits = f"over_refusal = 0.1\n{override}asr = 0.3"
    toml = safety_toml(scenarios=["fraud", "sex", "benign"], limits=limits)
    project.write(toml, marked("metrics=['over_refusal']"))
    cases = collected(project.run("--collect-only", "-q"))
    assert cases == ["r1-benign-direct", "r1-benign-figstep"]
    project.write(toml, marked("metrics=['asr']"))
    cases = collected(project.run("--collect-only", "-q"))
    assert cases == ["r1-sex-direct", "r1-sex-figstep"]


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        (
            "scenarios=['frud']",
            r"safety\(scenarios=...\): unknown name 'frud'; did you mean 'fraud'\?",
        ),
        ("attacks='fistep'", r"unknown name 'fistep'; did you mean 'figstep'\?"),
        ("pairs=['r9']", r"unknown name 'r9'; known: r1"),
        ("metrics=['asrr']", r"unknown name 'asrr'; did you mean 'asr'\?"),
        ("['fraud']", "positional argument"),
        ("scenario=['fraud']", "unexpected keyword argument 'scenario'"),
        ("scenarios=[]", "selects no case"),
        ("metrics=['escape']", r"no limit on \['escape'\]"),
        ("scenarios=7", "scenarios"),
    ],
    ids=["scenario", "attack", "pair", "metric", "positional", "keyword", "none", "limit", "type"],
)
def test_a_marker_that_fits_nothing_is_an_error(
    project: Project, arguments: str, line: str
) -> None:
    assert said(refused(project, arguments), line)


def test_slugs_that_clash_are_an_error(project: Project) -> None:
    project.edit("[attacks.direct]", '[attacks.fraud]\nkind = "direct"')
    result = project.run()
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    assert said(result, r"'fraud' names both \[scenarios.fraud\] and \[attacks.fraud\]")
