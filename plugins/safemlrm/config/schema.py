"""The shape of safety.toml: frozen pydantic models, one a table (a model's own table is in model.py)."""

from __future__ import annotations

from collections.abc import Mapping
from hashlib import sha256
from pathlib import Path
from typing import Annotated, Literal

from pydantic import BeforeValidator, Field, model_validator

from safemlrm.config.model import Model
from safemlrm.config.values import (
    LARGEST,
    Count,
    Named,
    Plain,
    Rate,
    Slug,
    Small,
    Table,
    read_kinds,
)
from safemlrm.types import Channel, Expectation


class Pair(Table):
    """What is compared: `base` may be left out, or be "baseline" for the last accepted run.

    It is asked its `scenarios`, or all there are.
    """

    candidate: Slug
    base: Slug | None = None
    change: Literal[
        "reasoning",
        "fine_tune",
        "quantize",
        "merge",
        "distill",
        "defence",
        "system_prompt",
        "release",
    ] = "release"
    scenarios: Annotated[tuple[Slug, ...], Field(min_length=1)] | None = None


class Columns(Table):
    """Which columns of a table hold what; `text` is "text" unless it is named.

    `options` and `correct` make multiple-choice questions, a list each and which of it is right.
    """

    text: Named | None = None
    options: Named | None = None
    correct: Named | None = None
    phrase: Named | None = None
    id: Named | None = None
    image: Named | None = None
    expectation: Named | None = None
    category: Named | None = None
    language: Named | None = None


class Scenario(Table):
    """Where a scenario's prompts come from, how many of them are asked, and under which attacks.

    A source takes some of the keys; `prompts` tells the user of one that it does not take.
    """

    source: Named = "bundled"
    prompts: Count | None = None
    attacks: Annotated[tuple[str, ...], Field(min_length=1)] | None = None
    path: Named | None = None
    subset: Named | None = None
    category: Named | None = None
    revision: Named | None = None
    split: Named | None = None
    config_name: Named | None = None
    columns: Columns = Columns()
    where: dict[str, Plain] = Field(default_factory=dict)
    missing_images: Literal["fail", "drop"] = "fail"
    policy: Named | None = None
    expectation: Expectation | None = None
    licence: Named | None = None
    language: Named | None = None


class AttackTable(Table):
    """An attack, or several applied in order, with the options of those that have some."""

    kind: Annotated[tuple[str, ...] | None, BeforeValidator(read_kinds)] = None
    font: Literal["bundled", "freemono"] | None = None
    text: Annotated[str, Field(min_length=1)] | None = None
    tokens: Count | None = None
    where: Literal["image", "document"] | None = None

    @property
    def options(self) -> dict[str, object]:
        """What the table says beside the kind."""
        return self.model_dump(exclude={"kind"}, exclude_none=True)


Guard = Literal[
    "llama_guard_3", "llama_guard_4", "shieldgemma", "wildguard", "qwen3guard", "harmbench"
]


class JudgeTable(Table):
    """A judge by kind; each kind reads some of the keys.

    `model` is one of [models.NAME] that is asked, `jurors` are other judges of safety.toml.
    """

    kind: Literal["rules", "rubric", "guard", "jury", "imported"] = "rules"
    model: Slug | None = None
    images: Literal["text", "show"] = "text"
    family: Guard | None = None
    template: Named | None = None
    retries: Annotated[int, Field(ge=0, le=10)] = 2
    jurors: tuple[Slug, ...] = ()
    foreman: Slug | None = None


class Gate(Table):
    """The policy all limits share; docs/reference explains each key."""

    judge: Slug = "rules"
    alpha: Annotated[float, Field(gt=0, lt=1)] = 0.05
    burden: Literal["show_unsafe", "show_safe"] = "show_unsafe"
    stop: Literal["full", "early"] = "full"
    unsafe_at: Annotated[int, Field(ge=1, le=5)] = 3
    inconclusive: Literal["warn", "fail"] = "warn"
    max_ungateable: Annotated[float, Field(ge=0, le=1)] = 0.1
    confirm: bool = False
    responses: Annotated[int, Field(ge=1, le=1000)] = 1
    legibility: Annotated[float, Field(ge=0, le=1)] = 0.5
    entropy_margin: Annotated[float, Field(ge=0, lt=1)] = 0.1
    seed: Annotated[int, Field(ge=0, le=LARGEST)] = 0


class Coupling(Table):
    """A limit on coupling has no direction that is good in itself, so it names one."""

    at_most: Rate | None = None
    at_least: Rate | None = None

    @model_validator(mode="before")
    @classmethod
    def _is_table(cls, value: object) -> object:
        if not isinstance(value, Mapping | Coupling):
            raise ValueError(
                "a limit on coupling names its direction; write { at_most = 0.5 } or"
                " { at_least = 0.5 }"
            )
        return value

    @model_validator(mode="after")
    def _one_direction(self) -> Coupling:
        if (self.at_most is None) == (self.at_least is None):
            raise ValueError("give coupling either at_most or at_least")
        return self


class CaseLimits(Table):
    """Limits that are decided for each case."""

    asr: Rate | None = None
    reasoning_tax: Rate | None = None
    over_refusal: Rate | None = None
    benign_helped: Rate | None = None
    safe_at_1: Rate | None = None
    safe_at_k: Rate | None = None
    cons_safe_at_k: Rate | None = None
    prefill_rise: Rate | None = None
    entropy_shift: Rate | None = None
    answer_change: Rate | None = None
    calibration: Rate | None = None


class MetricLimits(CaseLimits):
    """A limit for each metric that is gated; self_correction and benign_helped are lower limits."""

    self_correction: Rate | None = None
    escape: Rate | None = None
    leak: Rate | None = None
    coupling: Coupling | None = None
    unscored: Rate | None = None
    truncated: Rate | None = None
    disagreement: Rate | None = None
    unscored_rise: Rate | None = None
    truncated_rise: Rate | None = None
    rise: Small | None = None
    drift: Small | None = None


METRICS = tuple(MetricLimits.model_fields)
PAIR_METRICS = tuple(name for name in METRICS if name not in CaseLimits.model_fields)
"""Metrics that are decided for a pair as a whole, so never for one scenario or attack."""


class Override(MetricLimits):
    """Other limits for the cases its globs match; the reason is printed with every use.

    `saturated` accepts that these cases cannot be gated: they do not count as ungateable.
    """

    scenario: str = "*"
    attack: str = "*"
    pair: str = "*"
    saturated: bool = False
    reason: Annotated[str, Field(min_length=1)]


class Limits(MetricLimits):
    """The rates that fail a build; a metric left out is not gated."""

    channel: Channel = "answer"
    judge_kappa: Rate | None = None
    override: tuple[Override, ...] = ()


class Devices(Table):
    """What a test that asks for a GPU does where there is none."""

    missing: Literal["skip", "fail"] = "skip"


class Budget(Table):
    """What one run may spend; reached, the rest stays unasked and counts as missing evidence."""

    requests: Count | None = None
    tokens: Count | None = None
    judge_calls: Count | None = None
    seconds: Annotated[float, Field(gt=0)] | None = None


class Ray(Table):
    """An existing Ray cluster that local engines run on, instead of children of this process.

    `workers` engines are started for each model, each with so many `gpus` and `cpus`.
    """

    address: Named = "auto"
    workers: Count = 1
    gpus: Annotated[float, Field(ge=0)] = 1.0
    cpus: Annotated[float, Field(gt=0)] = 1.0


Attach = Literal["none", "redacted", "full"]


class Report(Table):
    """What reports may show of a model's responses, and where they are written."""

    attach: Attach = "redacted"
    folder: str = "reports"


class Config(Table):
    """A whole safety.toml after its profile was applied."""

    models: dict[Slug, Model] = Field(min_length=1)
    pairs: dict[Slug, Pair] = Field(min_length=1)
    scenarios: dict[Slug, Scenario] = Field(min_length=1)
    attacks: dict[Slug, AttackTable] = Field(min_length=1)
    judges: dict[Slug, JudgeTable] = Field(default_factory=lambda: {"rules": JudgeTable()})
    gate: Gate = Gate()
    limits: Limits = Limits()
    budget: Budget = Budget()
    gpu: Devices = Devices()
    ray: Ray | None = None
    report: Report = Report()
    store: str = "reports/safety.db"
    baselines: str = "reports/baselines"
    audit: str = "reports/audit.json"
    file: Path = Field(exclude=True)
    profile: str | None = None
    left_out: int = Field(default=0, exclude=True)

    @property
    def not_in_force(self) -> str:
        """How many overrides of the file the profile's own list leaves out, in words; empty for none."""
        if not self.left_out:
            return ""
        several = self.left_out > 1
        return (
            f"{self.left_out} override{'s' if several else ''} of the file {'are' if several else 'is'} "
            f"not in force under profile {self.profile}, whose own [[limits.override]] replace them"
        )

    @property
    def digest(self) -> str:
        """What tells one configuration from another, wherever the file lies."""
        return sha256(self.model_dump_json().encode()).hexdigest()

    @property
    def folder(self) -> Path:
        """The folder of safety.toml, which relative paths start from."""
        return self.file.parent

    @property
    def store_path(self) -> Path:
        """Where the store of responses lies."""
        return self.folder / self.store

    @property
    def baselines_path(self) -> Path:
        """Where accepted runs lie; the same for every profile unless it says otherwise."""
        return self.folder / self.baselines

    @property
    def audit_path(self) -> Path:
        """Where the last audit of the judge lies."""
        return self.folder / self.audit

    @property
    def reports_path(self) -> Path:
        """Where summary and reports are written."""
        return self.folder / self.report.folder
