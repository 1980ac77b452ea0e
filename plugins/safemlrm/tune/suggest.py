"""Histories -> a suggested limit for every cell, and what a build under them would come to (pure)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from math import ceil, prod

from safemlrm.config import Config, MetricLimits, Override
from safemlrm.family import Family, Hypothesis, Zones, build_families
from safemlrm.limits import Metric, limit_of
from safemlrm.matrix import Matrix
from safemlrm.metrics.binomial import tail
from safemlrm.stopping import stopping_rule
from safemlrm.tune.history import History
from safemlrm.types import Case


@dataclass(frozen=True, slots=True)
class Suggestion:
    """A cell's history and the hypothesis its suggested limit makes in the suggested family."""

    history: History
    hypothesis: Hypothesis

    @property
    def zones(self) -> Zones:
        """The counts that decide."""
        zones = self.hypothesis.zones
        assert zones is not None  # only counts have a history
        return zones

    @property
    def saturated(self) -> bool:
        """Whether no result of the planned prompts could fail."""
        return self.zones.fails_from > self.hypothesis.n

    @property
    def false_alarm(self) -> float:
        """How likely the cell fails in a build that is as the history is."""
        return tail(self.zones.fails_from, self.hypothesis.n, self.history.bad)


@dataclass(frozen=True, slots=True)
class Build:
    """What one build of a pair, as safe as its history, comes to under the suggested limits.

    `early` is the expected number of prompts under stop = "early". It is a lower bound (`at_least`)
    where a cell has several limits: it leaves only when the last of them is decided.
    """

    pair: str
    cells: int
    saturated: int
    false_alarm: float
    planned: int
    early: float
    at_least: bool


@dataclass(frozen=True, slots=True)
class Tuned:
    """A configuration with suggested limits, how each came about, and what no run measured."""

    config: Config
    suggestions: tuple[Suggestion, ...]
    builds: tuple[Build, ...]
    unmeasured: tuple[tuple[Case, Metric], ...]


def most_bad(history: History, above: Fraction) -> Fraction:
    """Return the rate of bad prompts to allow: the pooled one and `above`, up to a whole percent."""
    return min(Fraction(ceil((history.bad + above) * 100), 100), Fraction(1))


def limit_value(history: History, above: Fraction) -> Fraction:
    """Return the limit to suggest, in the direction of its metric."""
    bad = most_bad(history, above)
    return bad if history.metric.direction == "at_most" else 1 - bad


def suggest(histories: Sequence[History], config: Config, matrix: Matrix, above: Fraction) -> Tuned:
    """Replace a configuration's limits by those the histories suggest.

    Where the histories speak of every pair, each metric's most common suggestion becomes its limit;
    otherwise what is there is kept for the other pairs. Cells that differ get an override.
    """
    values = [(history, limit_value(history, above)) for history in histories]
    base = _base(values, config, whole={h.case.pair for h in histories} == set(matrix.pairs))
    overridden = [(h, v) for h, v in values if _limit(base, h) != v]
    draft = _with(base, [_override(h, v, above) for h, v in overridden])
    suggestions = _suggestions(histories, build_families(draft, matrix))
    saturated = {(s.history.case, s.history.metric.name) for s in suggestions if s.saturated}
    overrides = [
        _override(h, v, above, saturated=matrix.planned(h.case))
        if (h.case, h.metric.name) in saturated
        else _override(h, v, above)
        for h, v in values
        if (h, v) in overridden or (h.case, h.metric.name) in saturated
    ]
    families = build_families(tuned := _with(base, overrides), matrix)
    return Tuned(
        tuned,
        tuple(sorted(suggestions, key=lambda s: (-s.history.bad, s.history.case))),
        tuple(_build(families[pair], suggestions) for pair in _pairs(histories)),
        tuple(_unmeasured(histories, matrix)),
    )


def _base(values: Iterable[tuple[History, Fraction]], config: Config, *, whole: bool) -> Config:
    """Return the configuration the overrides are added to."""
    if not whole:
        return config
    common: dict[str, Counter[Fraction]] = {}
    for history, value in values:
        common.setdefault(history.metric.name, Counter())[value] += 1
    usual = {
        name: min(value for value in counts if counts[value] == max(counts.values()))
        for name, counts in common.items()
    }
    kept = [_without(override, set(usual)) for override in config.limits.override]
    override = tuple(each for each in kept if each is not None)
    limits = config.limits.model_copy(update={**usual, "override": override})
    return config.model_copy(update={"limits": limits})


def _without(override: Override, metrics: set[str]) -> Override | None:
    """Return what an override says beside the metrics that are suggested anew, None for nothing."""
    said = {name for name in MetricLimits.model_fields if getattr(override, name) is not None}
    if not said & metrics:
        return override
    if said <= metrics:
        return None
    return override.model_copy(update=dict.fromkeys(metrics, None))


def _with(config: Config, overrides: Sequence[Override]) -> Config:
    limits = config.limits
    more = limits.model_copy(update={"override": (*limits.override, *overrides)})
    return config.model_copy(update={"limits": more})


def _limit(config: Config, history: History) -> Fraction | None:
    found = limit_of(config, history.case, history.metric)
    return None if found is None else found.value


def _override(
    history: History, value: Fraction, above: Fraction, saturated: int | None = None
) -> Override:
    """Return an override with its reason; `saturated` is the number of prompts that cannot tell."""
    lower = history.metric.direction == "at_least"
    rate = float(1 - history.bad if lower else history.bad)
    builds = f"{len(history.builds)} build{'s' if len(history.builds) > 1 else ''}"
    if saturated is None:
        reason = (
            f"{builds}, {history.total.n} prompts: {rate:.1%}, "
            f"{'less' if lower else 'plus'} {float(above * 100):g} points"
        )
    else:
        reason = (
            f"{rate:.0%} in {builds}: nothing {'below' if lower else 'above'} its limit could be told "
            f"from noise with {saturated} prompts"
        )
    case = history.case
    return Override(
        pair=case.pair,
        scenario=case.scenario,
        attack=case.attack,
        reason=reason,
        saturated=saturated is not None,
    ).model_copy(update={history.metric.name: value})


def _suggestions(histories: Iterable[History], families: Mapping[str, Family]) -> list[Suggestion]:
    known = {
        (h.subject, h.metric.name): h for family in families.values() for h in family.hypotheses
    }
    return [Suggestion(h, known[h.case, h.metric.name]) for h in histories]


def _pairs(histories: Iterable[History]) -> list[str]:
    return sorted({history.case.pair for history in histories})


def _unmeasured(histories: Iterable[History], matrix: Matrix) -> Iterable[tuple[Case, Metric]]:
    """Yield the cells a suggested metric is about and that are in no run."""
    measured = [(history.case, history.metric) for history in histories]
    for metric in dict.fromkeys(metric for _, metric in measured):
        for pair in dict.fromkeys(case.pair for case, _ in measured):
            for case in matrix.cases_of(pair, metric.expectation):
                if (case, metric) not in measured:
                    yield case, metric


def _build(family: Family, suggestions: Iterable[Suggestion]) -> Build:
    """Put a pair's suggestions together, as if its cells were independent of one another."""
    own = [s for s in suggestions if s.history.case.pair == family.pair]
    cells: dict[Case, list[Suggestion]] = {}
    for suggestion in own:
        cells.setdefault(suggestion.history.case, []).append(suggestion)
    return Build(
        pair=family.pair,
        cells=len(own),
        saturated=sum(s.saturated for s in own),
        false_alarm=1 - prod(1 - s.false_alarm for s in own),
        planned=sum(each[0].hypothesis.n for each in cells.values()),
        early=sum(
            max(expected_prompts(s.hypothesis, float(s.history.bad)) for s in each)
            for each in cells.values()
        ),
        at_least=any(len(family.of(case)) > 1 for case in cells),
    )


def expected_prompts(hypothesis: Hypothesis, rate: float) -> float:
    """Return how many prompts a cell that stops early needs on average at a true rate of bad ones.

    Exact: the chance of every count of bad prompts among those cells that have not stopped yet is
    carried from prompt to prompt.
    """
    decided, total = stopping_rule(hypothesis), hypothesis.n
    alive, expected = {0: 1.0}, 0.0
    for n in range(1, total + 1):
        after: dict[int, float] = {}
        for bad, chance in alive.items():
            after[bad] = after.get(bad, 0.0) + chance * (1 - rate)
            after[bad + 1] = after.get(bad + 1, 0.0) + chance * rate
        alive = {bad: chance for bad, chance in after.items() if not decided(n, bad, bad)}
        expected += n * (sum(after.values()) - sum(alive.values()))
    return expected
