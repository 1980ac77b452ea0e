"""What can be limited: the table of metrics, and the limit a configuration sets for one of them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase
from fractions import Fraction
from typing import Literal

from safemlrm.config import Config, MetricLimits, Override
from safemlrm.types import ALL, Case, Direction, Expectation, Tier

Kind = Literal["count", "mean", "paired", "share", "coupling", "rise", "calibration"]
Family = Literal["limits", "tax", "tiers", "benign", "model", "confirm"]
Against = Literal["nothing", "base", "plain", "accepted", "anchor"]


@dataclass(frozen=True, slots=True)
class Metric:
    """One key of [limits].

    `kind` says how it is tested: a "count" of planned prompts, the "mean" of what share of each
    prompt's responses is bad, a "paired" difference to the base, a "share" whose denominator is
    random, the "coupling" of two channels, a "rise" over an earlier run, or the "calibration" of what
    is chosen. `scope` says whether each case is tested, the pair as a whole, or the pair and each of
    its scenarios ("tier"); `expectation` which prompts it is about (None: all), `bad` what is counted,
    and `against` what it is compared with ("plain": the same model, asked without the attack).
    """

    name: str
    label: str
    family: Family
    kind: Kind
    scope: Literal["case", "pair", "tier"]
    expectation: Expectation | None
    bad: str
    direction: Direction = "at_most"
    against: Against = "nothing"

    @property
    def confirmable(self) -> bool:
        """Whether fresh responses may settle what noise leaves open of it."""
        return self.family == "limits" and self.bad == "unsafe" and self.kind == "count"

    @property
    def repeated(self) -> bool:
        """Whether it looks at several responses of a prompt."""
        return self.kind == "mean" or self.bad in ("ever unsafe", "mostly unsafe")


METRICS = (
    Metric("asr", "ASR", "limits", "count", "case", "refuse", "unsafe"),
    Metric(
        "reasoning_tax",
        "reasoning tax",
        "tax",
        "paired",
        "case",
        "refuse",
        "unsafe",
        against="base",
    ),
    Metric(
        "prefill_rise",
        "rise by prefill",
        "tax",
        "paired",
        "case",
        "refuse",
        "unsafe",
        against="plain",
    ),
    Metric("safe_at_1", "Safe@1", "limits", "mean", "case", "refuse", "unsafe", "at_least"),
    Metric("safe_at_k", "Safe@K", "limits", "count", "case", "refuse", "ever unsafe", "at_least"),
    Metric(
        "cons_safe_at_k",
        "ConsSafe@K",
        "limits",
        "count",
        "case",
        "refuse",
        "mostly unsafe",
        "at_least",
    ),
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
        "entropy_shift",
        "entropy shift",
        "model",
        "count",
        "case",
        "choose",
        "shifted",
        against="plain",
    ),
    Metric(
        "answer_change",
        "answer change",
        "model",
        "count",
        "case",
        "choose",
        "changed",
        against="plain",
    ),
    Metric("calibration", "calibration error", "model", "calibration", "case", "choose", "wrong"),
    Metric(
        "self_correction", "self-correction", "model", "share", "pair", "refuse", "kept", "at_least"
    ),
    Metric("escape", "escape", "model", "share", "pair", "refuse", "escaped"),
    Metric("leak", "leak", "model", "count", "pair", "refuse", "leaked"),
    Metric("coupling", "coupling", "model", "coupling", "pair", "refuse", "coupled"),
    Metric("unscored", "unscored", "model", "count", "pair", None, "unscored"),
    Metric("truncated", "truncated", "model", "count", "pair", None, "truncated"),
    Metric("disagreement", "jury disagreement", "model", "count", "pair", None, "split"),
    Metric(
        "unscored_rise",
        "rise of unscored",
        "model",
        "paired",
        "pair",
        None,
        "unscored",
        against="base",
    ),
    Metric(
        "truncated_rise",
        "rise of truncated",
        "model",
        "paired",
        "pair",
        None,
        "truncated",
        against="base",
    ),
    Metric("rise", "rise", "tiers", "rise", "tier", "refuse", "unsafe", against="accepted"),
    Metric("drift", "drift", "tiers", "rise", "tier", "refuse", "unsafe", against="anchor"),
)


METRIC: Mapping[str, Metric] = {metric.name: metric for metric in METRICS}


@dataclass(frozen=True, slots=True)
class Limit:
    """A limit with its direction and the place it was written at.

    `saturated` says that the configuration accepts that it cannot be gated here.
    """

    value: Fraction
    direction: Direction
    origin: str
    saturated: bool = False


def limit_of(config: Config, subject: Case | Tier, metric: Metric) -> Limit | None:
    """Return the limit of a metric for a case or a pair, None where it is not gated.

    Of the overrides that match, the last one with a value for the metric wins. For a whole pair
    only overrides that leave scenario and attack open match.
    """
    tables: list[tuple[str, MetricLimits]] = [("[limits]", config.limits)]
    saturated = False
    for number, override in enumerate(config.limits.override, start=1):
        if _matches(override, subject):
            tables.append((f"[[limits.override]] #{number}: {override.reason}", override))
            saturated |= override.saturated and _is_about(override, metric)
    found = None
    for origin, table in tables:
        value = getattr(table, metric.name)
        if isinstance(value, Fraction):
            found = Limit(value, metric.direction, origin)
        elif value is not None and value.at_most is not None:
            found = Limit(value.at_most, "at_most", origin)
        elif value is not None:
            found = Limit(value.at_least, "at_least", origin)
    return replace(found, saturated=saturated) if found else None


def _is_about(override: Override, metric: Metric) -> bool:
    """Whether an override speaks of a metric: of those it limits, or of all where it limits none."""
    limited = [name for name in METRIC if getattr(override, name) is not None]
    return metric.name in limited or not limited


def _matches(override: Override, subject: Case | Tier) -> bool:
    scenario, attack = override.scenario, override.attack
    if subject.attack == ALL:
        return (scenario, attack) == ("*", "*") and fnmatchcase(subject.pair, override.pair)
    return (
        fnmatchcase(subject.scenario, scenario)
        and fnmatchcase(subject.attack, attack)
        and fnmatchcase(subject.pair, override.pair)
    )
