"""The shape of safety.toml: frozen pydantic models, one a table."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from fractions import Fraction
from pathlib import Path
from typing import Annotated, Literal

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    model_validator,
)

from safemlrm.types import Channel, Expectation

SLUG = r"^[a-z][a-z0-9_]*$"
Slug = Annotated[str, Field(pattern=SLUG)]
PLACES = 300
"""Powers of ten that a rate may have, either way."""
LARGEST_RISE = Fraction(5, 100)
LARGEST = 2**63 - 1
"""The largest whole number that a store can hold."""
Count = Annotated[int, Field(ge=1, le=LARGEST)]


def _exact(value: object) -> Fraction:
    """Read a rate as the fraction its decimal text shows, so that 0.29 of 100 prompts is 29."""
    if isinstance(value, bool) or not isinstance(value, int | str | float | Decimal | Fraction):
        raise ValueError("expected a number between 0 and 1")
    try:
        if isinstance(value, int | Fraction) or (isinstance(value, str) and "/" in value):
            return Fraction(value)
        number = Decimal(str(value))
    except (ValueError, ArithmeticError):
        raise ValueError("expected a number between 0 and 1") from None
    # A fraction spells its power of ten out, so 1e999999 would take all memory.
    if not number.is_finite() or abs(number.adjusted()) > PLACES:
        raise ValueError(f"expected a rate between 0 and 1, got {str(number).lower()}")
    return Fraction(number)


def _is_rate(value: Fraction) -> Fraction:
    if not 0 <= value <= 1:
        shown = Decimal(value.numerator) / value.denominator
        raise ValueError(f"expected a rate between 0 and 1, got {shown:.6g}")
    return value


def _is_small(value: Fraction) -> Fraction:
    """Refuse what is no small rise: its test asks whether anything changed, not whether by so much."""
    if value > LARGEST_RISE:
        raise ValueError(
            f"expected at most {float(LARGEST_RISE):g}, since it only keeps small rises from failing; "
            'for a larger one limit asr, or reasoning_tax with base = "baseline"'
        )
    return value


def _is_marker(value: str) -> str:
    if not value.strip():
        raise ValueError("a marker cannot be blank; give the text a model writes, or leave it out")
    return value


def _kinds(value: object) -> object:
    """Read one attack or several that are applied in order."""
    names = [value] if isinstance(value, str) else value
    if not isinstance(names, list | tuple) or not names:
        raise ValueError("expected the name of an attack, or a list of names")
    if not all(isinstance(name, str) for name in names):
        raise ValueError("expected the name of an attack, or a list of names")
    return tuple(names)


def _filled(value: str) -> str:
    if not value.strip():
        raise ValueError("expected a text that is not blank, or leave the key out")
    return value


def _plain(value: object) -> str:
    """Read what a row is compared with as the text that a table would show."""
    if not isinstance(value, str | int):
        raise ValueError("expected a text, a whole number, true or false")
    return str(value).lower() if isinstance(value, bool) else str(value)


Rate = Annotated[Fraction, BeforeValidator(_exact), AfterValidator(_is_rate)]
Small = Annotated[Rate, AfterValidator(_is_small)]
Marker = Annotated[str, AfterValidator(_is_marker)]
Named = Annotated[str, AfterValidator(_filled)]
Plain = Annotated[str, BeforeValidator(_plain)]


class Table(BaseModel):
    """A TOML table: immutable, and unknown keys are errors."""

    model_config = ConfigDict(
        extra="forbid", frozen=True, arbitrary_types_allowed=True, allow_inf_nan=False
    )


class Reasoning(Table):
    """How a model marks its trace; `prefilled` when the chat template already opens it."""

    open: Marker = "<think>"
    close: Marker = "</think>"
    answer_open: Marker | None = "<answer>"
    answer_close: Marker | None = "</answer>"
    prefilled: bool = False


class Script(Table):
    """The behaviour of the scripted engine: rates of unsafe outcomes, and faults to inject.

    Keys of `by_cell` are globs over "scenario/attack"; the first that matches gives the rate.
    """

    unsafe: float = 0.0
    by_cell: dict[str, float] = {}
    refuse_benign: float = 0.0
    self_correct: float = 0.0
    leak: float = 0.0
    unscorable: float = 0.0
    truncate: float = 0.0
    empty: float = 0.0
    delay_ms: float = 0.0
    die_after: int | None = None
    drop: float = 0.0
    blind: float = 0.0


class Model(Table):
    """One model and how it is asked; decoding parameters left out come from the model itself."""

    engine: Literal["transformers", "scripted"] = "transformers"
    path: str | None = None
    revision: str | None = None
    dtype: Literal["auto", "float32", "bfloat16", "float16"] = "auto"
    trust_remote_code: bool = False
    system: str | None = None
    reasoning: Reasoning | None = None
    thinking: Literal["default", "zero", "less", "more"] = "default"
    thinking_rounds: Annotated[int, Field(ge=1, le=100)] = 10
    max_new_tokens: Count | None = None
    temperature: Annotated[float, Field(ge=0)] | None = None
    top_p: Annotated[float, Field(gt=0, le=1)] | None = None
    top_k: Annotated[int, Field(ge=0, le=LARGEST)] | None = None
    min_p: Annotated[float, Field(ge=0, le=1)] | None = None
    batch_size: Count = 64
    devices: Literal["auto"] | tuple[str, ...] = "auto"
    epoch: str = ""
    script: Script = Script()


class Pair(Table):
    """What is compared: `base` may be left out, or be "baseline" for the last accepted run."""

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


class Columns(Table):
    """Which columns of a table hold what; `text` is "text" unless it is named."""

    text: Named | None = None
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
    where: dict[str, Plain] = {}
    missing_images: Literal["fail", "drop"] = "fail"
    policy: Named | None = None
    expectation: Expectation | None = None
    licence: Named | None = None
    language: Named | None = None


class AttackTable(Table):
    """An attack, or several applied in order, with the options of those that have some."""

    kind: Annotated[tuple[str, ...] | None, BeforeValidator(_kinds)] = None
    font: Literal["bundled", "freemono"] | None = None
    text: Annotated[str, Field(min_length=1)] | None = None
    tokens: Count | None = None
    where: Literal["image", "document"] | None = None

    @property
    def options(self) -> dict[str, object]:
        """What the table says beside the kind."""
        return self.model_dump(exclude={"kind"}, exclude_none=True)


class JudgeTable(Table):
    """A judge by kind."""

    kind: Literal["rules"] = "rules"


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
    legibility: Annotated[float, Field(ge=0, le=1)] = 0.5
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


class MetricLimits(CaseLimits):
    """A limit for each metric that is gated; self_correction and benign_helped are lower limits."""

    self_correction: Rate | None = None
    escape: Rate | None = None
    leak: Rate | None = None
    coupling: Coupling | None = None
    unscored: Rate | None = None
    truncated: Rate | None = None
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
    override: tuple[Override, ...] = ()


class Devices(Table):
    """What a test that asks for a GPU does where there is none."""

    missing: Literal["skip", "fail"] = "skip"


class Budget(Table):
    """What one run may spend; reached, the rest stays unasked and counts as missing evidence."""

    requests: Count | None = None
    tokens: Count | None = None
    seconds: Annotated[float, Field(gt=0)] | None = None


class Report(Table):
    """What reports may show of a model's responses, and where they are written."""

    attach: Literal["none", "redacted", "full"] = "redacted"
    folder: str = "reports"


class Config(Table):
    """A whole safety.toml after its profile was applied."""

    models: dict[Slug, Model] = Field(min_length=1)
    pairs: dict[Slug, Pair] = Field(min_length=1)
    scenarios: dict[Slug, Scenario] = Field(min_length=1)
    attacks: dict[Slug, AttackTable] = Field(min_length=1)
    judges: dict[Slug, JudgeTable] = {"rules": JudgeTable()}
    gate: Gate = Gate()
    limits: Limits = Limits()
    budget: Budget = Budget()
    gpu: Devices = Devices()
    report: Report = Report()
    store: str = "reports/safety.db"
    baselines: str = "reports/baselines"
    file: Path = Field(exclude=True)
    profile: str | None = None

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
    def reports_path(self) -> Path:
        """Where summary and reports are written."""
        return self.folder / self.report.folder
