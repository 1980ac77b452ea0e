"""Histories -> a suggested limit for every cell, and what a build under them would come to (pure)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase
from fractions import Fraction
from math import ceil, prod

from safemlrm.config import Config, MetricLimits, Override
from safemlrm.family import Family, Hypothesis, Zones, build_families
from safemlrm.limits import limit_of
from safemlrm.matrix import Matrix
from safemlrm.metrics.binomial import tail
from safemlrm.stopping import stopping_rule
from safemlrm.tune.history import Cell, History
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
    """A configuration with suggested limits, how each came about, and what no run measured.

    Of the latter, `kept` cells had a limit and have it still; `unmeasured` ones had none.
    """

    config: Config
    suggestions: tuple[Suggestion, ...]
    builds: tuple[Build, ...]
    kept: tuple[Cell, ...]
    unmeasured: tuple[Cell, ...]


def most_bad(history: History, above: Fraction) -> Fraction:
    """Return the rate of bad prompts to allow: the pooled one and `above`, up to a whole percent."""
    return min(Fraction(ceil((history.bad + above) * 100), 100), Fraction(1))


def limit_value(history: History, above: Fraction) -> Fraction:
    """Return the limit to suggest, in the direction of its metric."""
    bad = most_bad(history, above)
    return bad if history.metric.direction == "at_most" else 1 - bad


def suggest(histories: Sequence[History], config: Config, matrix: Matrix, above: Fraction) -> Tuned:
    """Replace a configuration's limits by those the histories suggest, and keep all others.

    Where the histories speak of every pair, each metric's most common suggestion becomes its limit.
    Cells that differ get an override.
    """
    values = {h.cell: limit_value(h, above) for h in histories}
    pairs = sorted({case.pair for case, _ in values})
    others = _unmeasured(values, matrix)
    base = _base(values, others, config, whole=set(pairs) == set(matrix.pairs))
    # Zones follow from limits and the size of the family, wherever a limit is written.
    draft = _with(base, [_exactly(cell, value, "draft") for cell, value in values.items()])
    families = build_families(draft, matrix)
    known = {(h.subject, h.metric): h for family in families.values() for h in family.hypotheses}
    suggestions = [Suggestion(h, known[h.cell]) for h in histories]
    overrides = [
        _override(each, above)
        for each in suggestions
        if each.saturated or not _says(base, each.history.cell, each.hypothesis.limit.value)
    ]
    beside = [cell for cell in others if cell[0].pair in pairs]
    return Tuned(
        _with(base, overrides),
        tuple(sorted(suggestions, key=lambda s: (-s.history.bad, s.history.case))),
        tuple(_build(families[pair], suggestions) for pair in pairs),
        kept=tuple(cell for cell in beside if limit_of(config, *cell)),
        unmeasured=tuple(cell for cell in beside if not limit_of(config, *cell)),
    )


def _unmeasured(measured: Collection[Cell], matrix: Matrix) -> list[Cell]:
    """Return the cells that a suggested metric is about and that are in no run."""
    return [
        (case, metric)
        for metric in dict.fromkeys(metric for _, metric in measured)
        for pair in matrix.pairs
        for case in matrix.cases_of(pair, metric.expectation, attacked=metric.against == "plain")
        if (case, metric) not in measured
    ]


def _base(
    values: Mapping[Cell, Fraction], others: Iterable[Cell], config: Config, *, whole: bool
) -> Config:
    """Return the configuration the overrides are added to: what it says of other cells stays."""
    old = [
        _without(override, {metric.name for case, metric in values if _matches(override, case)})
        for override in config.limits.override
    ]
    usual = _usual(values) if whole else {}
    limits = config.limits.model_copy(update={**usual, "override": tuple(filter(None, old))})
    base = config.model_copy(update={"limits": limits})
    return _with(base, list(_kept(others, config, base)))


def _usual(values: Mapping[Cell, Fraction]) -> dict[str, Fraction]:
    """Return each metric's most common value, the lowest of several."""
    common: dict[str, Counter[Fraction]] = {}
    for (_, metric), value in values.items():
        common.setdefault(metric.name, Counter())[value] += 1
    return {
        name: min(value for value in counts if counts[value] == max(counts.values()))
        for name, counts in common.items()
    }


def _without(override: Override, metrics: set[str]) -> Override | None:
    """Return what an override says beside the metrics that are suggested anew, None for nothing."""
    said = {name for name in MetricLimits.model_fields if getattr(override, name) is not None}
    if not said & metrics:
        return override
    return override.model_copy(update=dict.fromkeys(metrics, None)) if said - metrics else None


def _matches(override: Override, case: Case) -> bool:
    return all(
        fnmatchcase(getattr(case, key), getattr(override, key))
        for key in ("pair", "scenario", "attack")
    )


def _kept(cells: Iterable[Cell], config: Config, base: Config) -> Iterator[Override]:
    """Yield an override for each cell whose limit would otherwise not be the one it had."""
    for cell in cells:
        then, now = limit_of(config, *cell), limit_of(base, *cell)
        if then and (not now or replace(now, origin=then.origin) != then):
            _, _, reason = then.origin.partition(": ")
            reason = reason or f"as in {then.origin} before: no run measured it"
            yield _exactly(cell, then.value, reason, saturated=then.saturated)


def _with(config: Config, overrides: Sequence[Override]) -> Config:
    limits = config.limits
    more = limits.model_copy(update={"override": (*limits.override, *overrides)})
    return config.model_copy(update={"limits": more})


def _says(config: Config, cell: Cell, value: Fraction) -> bool:
    found = limit_of(config, *cell)
    return found is not None and found.value == value


def _override(suggestion: Suggestion, above: Fraction) -> Override:
    """Return a suggested limit with its reason."""
    history, hypothesis = suggestion.history, suggestion.hypothesis
    lower = history.metric.direction == "at_least"
    rate = float(1 - history.bad if lower else history.bad)
    builds = f"{len(history.builds)} build{'s' if len(history.builds) > 1 else ''}"
    if suggestion.saturated:
        reason = (
            f"{rate:.0%} in {builds}: nothing {'below' if lower else 'above'} its limit could be told "
            f"from noise with {hypothesis.n} prompts"
        )
    else:
        reason = (
            f"{builds}, {history.total.n} prompts: {rate:.1%}, "
            f"{'less' if lower else 'plus'} {float(above * 100):g} points"
        )
    return _exactly(history.cell, hypothesis.limit.value, reason, saturated=suggestion.saturated)


def _exactly(cell: Cell, value: Fraction, reason: str, *, saturated: bool = False) -> Override:
    """Return an override of one metric of one case."""
    case, metric = cell
    return Override(
        pair=case.pair,
        scenario=case.scenario,
        attack=case.attack,
        saturated=saturated,
        reason=reason,
    ).model_copy(update={metric.name: value})


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
