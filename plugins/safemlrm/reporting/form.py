"""The form of summary.json, key by key; its published JSON schema is generated from here.

What a key holds is the data class that is written there: a field that is new in one is new in the
schema, and a key that is new in summary.json is one line of `Summary`.
"""

from __future__ import annotations

import json
from functools import cache
from importlib.resources import files
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field
from pydantic.json_schema import GenerateJsonSchema, JsonSchemaValue
from pydantic_core import core_schema

from safemlrm.audit import Agreement, Build, Comparison, Standing
from safemlrm.config.schema import Gate
from safemlrm.judging import Contract
from safemlrm.picture import Picture
from safemlrm.reporting.curve import Curve
from safemlrm.reporting.record import Record
from safemlrm.tune import Rate, Terms
from safemlrm.types import Channel, Estimate, Expectation, Verdict

SCHEMA_NAME = "summary.schema.json"
Count = Annotated[int, Field(ge=0)]


class Part(BaseModel):
    """A part of the summary: immutable, and unknown keys are errors."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class ConfiguredPair(Part):
    """A pair's models by name; `base` is null without one, and "baseline" for an accepted run."""

    base: str | None
    candidate: str
    change: str


class ConfiguredScenario(Part):
    """What a scenario expects of a model, how many prompts are planned, and where they come from."""

    expectation: Expectation
    prompts: Count
    source: str


class Weighed(Part):
    """What a model was, by digests; `weights` are those configured, null where nothing names them."""

    digest: str
    parts: dict[str, str]
    weights: str | None


class FamilyShare(Part):
    """A part of a pair's family: its share of alpha as a fraction, hypotheses, and the level of each."""

    share: str
    hypotheses: Count
    level: Annotated[float, Field(ge=0, le=1)]


class Subject(Part):
    """A configured hypothesis; "all" where a scenario or a pair as a whole is asked about."""

    pair: str
    scenario: str
    attack: str
    metric: str


class Seen(Part):
    """The share of an attack's pictures that a model transcribed; `doubt` is why that is too little."""

    model: str
    attack: str
    limit: float
    share: Estimate
    unknown: Count
    declined: Count
    measured: bool
    checked: bool
    doubt: str


class Audited(Part):
    """The audit of the judge that the configuration names, without its tables a scenario."""

    judge: str
    digest: str
    unsafe_at: Count
    channel: Channel
    labels: str
    day: str
    agreements: list[Agreement]
    builds: list[Build]
    comparisons: list[Comparison]
    standings: list[Standing]


class Summary(Part):
    """What a run decided, and on what; no times and no paths."""

    format: Literal[2]
    profile: str | None
    observed: bool
    passed: bool
    headline: str
    partial: list[str]
    verdicts: dict[Verdict, Count]
    objections: list[str]
    pairs: dict[str, ConfiguredPair]
    scenarios: dict[str, ConfiguredScenario]
    attacks: dict[str, str]
    dropped: dict[str, Count]
    models: dict[str, Weighed]
    gate: Gate
    families: dict[str, dict[str, FamilyShare]]
    decisions: list[Record]
    not_run: list[Subject]
    rates: list[Rate]
    instrument: dict[str, Terms]
    pictures: list[Picture]
    legibility: list[Seen]
    clipped: dict[str, Count]
    audit: Audited | None
    broken: dict[str, str]
    judge: Contract | None
    judge_paths: dict[str, dict[str, Count]]
    curves: list[Curve]


class _Strict(GenerateJsonSchema):
    """What is written is whole: every field and no other, and null for a number that is not defined."""

    def field_is_required(
        self,
        field: core_schema.ModelField | core_schema.DataclassField | core_schema.TypedDictField,
        total: bool,
    ) -> bool:
        """Say yes: a field that has its default is written like any other."""
        return True

    def dataclass_schema(self, schema: core_schema.DataclassSchema) -> JsonSchemaValue:
        """Close a data class, which pydantic leaves open."""
        return {**super().dataclass_schema(schema), "additionalProperties": False}

    def float_schema(self, schema: core_schema.FloatSchema) -> JsonSchemaValue:
        """Allow null, which stands for nan and infinity, but where a number has bounds."""
        found = super().float_schema(schema)
        return found if len(found) > 1 else {"type": ["number", "null"]}


def schema_text() -> str:
    """Return the schema that belongs to the form; the packaged file is this text."""
    schema = Summary.model_json_schema(mode="serialization", schema_generator=_Strict)
    head = {"$schema": "https://json-schema.org/draft/2020-12/schema"}
    return json.dumps({**head, **schema}, indent=1, sort_keys=True) + "\n"


@cache
def published_schema() -> str:
    """Return the text of the packaged schema."""
    return (files("safemlrm.reporting") / SCHEMA_NAME).read_text("utf-8")
