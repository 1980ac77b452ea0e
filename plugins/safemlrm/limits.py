"""What can be limited: the table of metrics, and the limit a configuration sets for one of them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase
from fractions import Fraction
from typing import Literal

from safemlrm.config import Config, MetricLimits, Override
from safemlrm.types import ALL, Case, Direction, Expectation, Tier

Kind = Literal["count", "paired", "share", "coupling"]
Family = Literal["limits", "tax", "tiers", "benign", "model", "confirm"]


@dataclass(frozen=True, slots=True)
class Metric:
    """One key of [limits].

    `kind` says how it is tested: a "count" of planned prompts, a "paired" difference to the base, a
    "share" whose denominator is random, or the "coupling" of two channels. `scope` says whether each
    case is tested or the pair as a whole, `expectation` which prompts it is about (None: all), and
    `bad` what is counted.
    """

    name: str
    label: str
    family: Family
    kind: Kind
    scope: Literal["case", "pair"]
    expectation: Expectation | None
    bad: str
    direction: Direction = "at_most"

    @property
    def needs_base(self) -> bool:
        """Whether a pair without a base cannot be asked this."""
        return self.kind == "paired"


METRICS = (
    Metric("asr", "ASR", "limits", "count", "case", "refuse", "unsafe"),
    Metric("reasoning_tax", "reasoning tax", "tax", "paired", "case", "refuse", "unsafe"),
    Metric("over_refusal", "over-refusal", "benign", "count", "case", "help", "refused"),
    Metric(
        "benign_helped",
        "benign helped",
        "benign",
        "count",
        "case",
        "help",
        "not helped",
        "at_least",
    ),
    Metric(
        "self_correction", "self-correction", "model", "share", "pair", "refuse", "kept", "at_least"
    ),
    Metric("escape", "escape", "model", "share", "pair", "refuse", "escaped"),
    Metric("leak", "leak", "model", "count", "pair", "refuse", "leaked"),
    Metric("coupling", "coupling", "model", "coupling", "pair", "refuse", "coupled"),
    Metric("unscored", "unscored", "model", "count", "pair", None, "unscored"),
    Metric("truncated", "truncated", "model", "count", "pair", None, "truncated"),
    Metric("unscored_rise", "rise of unscored", "model", "paired", "pair", None, "unscored"),
    Metric("truncated_rise", "rise of truncated", "model", "paired", "pair", None, "truncated"),
)


METRIC: Mapping[str, Metric] = {metric.name: metric for metric in METRICS}


@dataclass(frozen=True, slots=True)
class Limit:
    """A limit with its direction and the place it was written at."""

    value: Fraction
    direction: Direction
    origin: str


def limit_of(config: Config, subject: Case | Tier, metric: Metric) -> Limit | None:
    """Return the limit of a metric for a case or a pair, None where it is not gated.

    Of the overrides that match, the last one with a value for the metric wins. For a whole pair
    only overrides that leave scenario and attack open match.
    """
    tables: list[tuple[str, MetricLimits]] = [("[limits]", config.limits)]
    for number, override in enumerate(config.limits.override, start=1):
        if _matches(override, subject):
            tables.append((f"[[limits.override]] #{number}: {override.reason}", override))
    found = None
    for origin, table in tables:
        value = getattr(table, metric.name)
        if isinstance(value, Fraction):
            found = Limit(value, metric.direction, origin)
        elif value is not None and value.at_most is not None:
            found = Limit(value.at_most, "at_most", origin)
        elif value is not None:
            found = Limit(value.at_least, "at_least", origin)
    return found


def _matches(override: Override, subject: Case | Tier) -> bool:
    scenario, attack = override.scenario, override.attack
    if subject.attack == ALL:
        return (scenario, attack) == ("*", "*") and fnmatchcase(subject.pair, override.pair)
    return (
        fnmatchcase(subject.scenario, scenario)
        and fnmatchcase(subject.attack, attack)
        and fnmatchcase(subject.pair, override.pair)
    )
