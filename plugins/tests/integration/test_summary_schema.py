"""summary.json of runs of every kind is what its published schema says, and nothing beside it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import jsonschema
import pytest
from click.testing import CliRunner

from fixtures.projects import ALL_LIMITS, GATE, Project, safety_toml
from safemlrm.cli import main
from safemlrm.reporting.form import Summary, published_schema, schema_text

SCHEMA: dict[str, Any] = json.loads(published_schema())
VALIDATOR = jsonschema.Draft202012Validator(SCHEMA)
THREE = ("fraud", "sex", "benign")
ACCEPTED = '[[limits.override]]\nscenario = "sex"\nasr = 0.95\nreason = "known"'


def whole(candidate: str) -> str:
    """Return a safety.toml that limits every metric of a reasoning candidate and its base."""
    return safety_toml(candidate=candidate, base="", trace=True, scenarios=THREE, limits=ALL_LIMITS)


def checked(project: Project) -> dict[str, Any]:
    """Return the summary of the last run after holding it against the schema."""
    found = project.summary
    assert [f"{error.json_path}: {error.message}" for error in VALIDATOR.iter_errors(found)] == []
    return found


def objects(schema: Any) -> Iterator[dict[str, Any]]:
    """Yield every object with named keys that a schema speaks of."""
    if isinstance(schema, dict):
        if "properties" in schema and schema.get("type") == "object":
            yield schema
        schema = list(schema.values())
    if isinstance(schema, list):
        for item in schema:
            yield from objects(item)


def test_the_published_schema_is_the_generated_one() -> None:
    jsonschema.Draft202012Validator.check_schema(SCHEMA)
    assert published_schema() == schema_text()


def test_every_object_is_closed_and_whole() -> None:
    found = list(objects(SCHEMA))
    assert len(found) > 20
    for schema in found:
        assert schema["additionalProperties"] is False, schema["title"]
        assert set(schema["required"]) == set(schema["properties"]), schema["title"]


@pytest.mark.parametrize(
    ("toml", "arguments", "verdict"),
    [
        (safety_toml(base=""), (), "PASS"),
        (safety_toml(candidate="unsafe = 1.0"), (), "FAIL"),
        (safety_toml(candidate='by_cell = { "*" = 0.35 }'), (), "INCONCLUSIVE noise"),
        (whole("drop = 0.6"), (), "INCONCLUSIVE missing"),
        (safety_toml(more=ACCEPTED), (), "UNGATEABLE"),
        (whole(""), (), "NOT_APPLICABLE"),
        (safety_toml(candidate="unsafe = 1.0"), ("--safety-observe",), "FAIL"),
        (safety_toml(candidate="blind = 1.0", legibility=0.5), (), "INCONCLUSIVE missing"),
    ],
    ids=["pass", "fail", "noise", "missing", "ungateable", "not applicable", "observed", "blind"],
)
def test_a_run_fits(project: Project, toml: str, arguments: tuple[str, ...], verdict: str) -> None:
    project.write(toml, None if ALL_LIMITS in toml else GATE)
    project.run(*arguments)
    found = checked(project)
    assert verdict in project.decisions.values()
    assert found["observed"] is bool(arguments)
    assert bool(found["legibility"]) is ("legibility = 0.5" in toml)
    assert found["pairs"]["r1"]["base"] == ("base" if "[models.base]" in toml else None)


def test_a_run_that_could_not_measure_fits(project: Project) -> None:
    project.write(safety_toml(candidate="die_after = 0"))
    project.run()
    found = checked(project)
    assert found["broken"]
    assert found["decisions"] == []


def test_a_run_against_an_accepted_one_and_beside_an_audit_fits(project: Project) -> None:
    toml = safety_toml(
        candidate="unsafe = 0.3", trace=True, limits="asr = 0.75\nreasoning_tax = 0.5"
    )
    project.write(toml)
    project.run()
    assert checked(project)["audit"] is None
    config = ["--config", str(project.path / "safety.toml")]
    for command in (
        ["accept", "r1", "--by", "ann", "--reason", "first", "--anyway"],
        ["audit", "--draw", "40", "--to", "labels.jsonl"],
    ):
        done = CliRunner().invoke(main, [*command, *config])
        assert done.exit_code == 0, done.output
    labels = project.path / "labels.jsonl"
    rows = [json.loads(line) for line in labels.read_text("utf-8").splitlines()]
    filled = [row | {"harm": n % 2 * 4, "date": "2026-05-17"} for n, row in enumerate(rows)]
    labels.write_text("".join(f"{json.dumps(row)}\n" for row in filled), "utf-8")
    done = CliRunner().invoke(main, ["audit", str(labels), *config])
    assert done.exit_code == 0, done.output
    project.edit("[pairs.r1]\n", '[pairs.r1]\nbase = "baseline"\n')
    project.run("--safety-replay")
    found = checked(project)
    assert found["pairs"]["r1"]["base"] == "baseline"
    assert any(decision["base"] for decision in found["decisions"])
    assert found["audit"]["agreements"]


@pytest.mark.parametrize(
    "change",
    [
        {"more": 1},
        {"format": 1},
        {"verdicts": {"MAYBE": 1}},
        {"gate": {}},
        {"decisions": [{}]},
        {"rates": [{"pair": "r1"}]},
        {"families": {"r1": {"limits": {"share": "1", "hypotheses": 1, "level": None}}}},
    ],
    ids=lambda change: next(iter(change)),
)
def test_what_is_no_summary_does_not_fit(change: dict[str, Any]) -> None:
    found = {**_least(), **change}
    assert VALIDATOR.is_valid(_least())
    assert not VALIDATOR.is_valid(found)


def _least() -> dict[str, Any]:
    """Return a summary of a run that decided nothing."""
    lists = ["partial", "objections", "decisions", "not_run", "rates", "pictures", "legibility"]
    lists += ["curves"]
    nothing = dict.fromkeys(("profile", "audit", "judge"))
    gate = Summary.model_fields["gate"].annotation
    assert gate is not None
    found: dict[str, Any] = {name: {} for name in Summary.model_fields}
    found |= {name: [] for name in lists} | nothing
    found |= {"format": 2, "observed": False, "passed": False, "headline": "NOT PASSED"}
    return found | {"gate": gate().model_dump(mode="json")}
