"""Two runs -> their differences with intervals, a row a case, a scenario, a pair (pure)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import reduce
from math import isnan, sqrt
from operator import add

from safemlrm.clusters import Compared, widened
from safemlrm.compare.sides import Asked, Pair, Side, Terms
from safemlrm.errors import SafemlrmError
from safemlrm.evidence import CellResult, Counts, paired
from safemlrm.limits import METRICS, Metric
from safemlrm.metrics.paired import Difference, tango_interval
from safemlrm.metrics.unpaired import newcombe_unpaired
from safemlrm.tune import Rate
from safemlrm.types import ALL

COUNTED = tuple(
    m
    for m in METRICS
    if (m.kind, m.scope, m.against) == ("count", "case", "nothing") and not m.repeated
)
"""What is compared: the metrics that count a case's prompts by their first responses alone."""


@dataclass(frozen=True, slots=True)
class Row:
    """One comparison: how often each run came out badly, and the first minus the second.

    `unknown` prompts have no outcome in one of the runs, or are not known by both. Without `paired`
    nobody knows which prompt came out how, so that the interval is of two separate rates.
    """

    pair: str
    scenario: str
    attack: str
    metric: str
    one: Counts
    other: Counts
    difference: Difference
    paired: bool
    unknown: int

    @property
    def shown(self) -> bool:
        """Whether the interval leaves 0 out."""
        return self.difference.low > 0 or self.difference.high < 0


@dataclass(frozen=True)
class Comparison:
    """All rows, pairs as wholes first and then the worst first; `notes` say what was left out."""

    one: str
    other: str
    rows: tuple[Row, ...]
    notes: tuple[str, ...]


def compare(one: Side, other: Side) -> Comparison:
    """Compare the candidates of two runs' pairs.

    Raises `SafemlrmError` where they were judged otherwise, or asked other prompts or under other
    attacks, and where they have nothing in common.
    """
    matched = list(_matched(one, other))
    rows: list[Row] = []
    notes = [*one.notes, *other.notes]
    for ours, theirs in matched:
        common = _common(ours, theirs)
        _refuse(ours.terms, theirs.terms, common, one.name, other.name)
        notes += _alone(ours, theirs, common, one.name, other.name)
        for metric in COUNTED:
            rows += _rows(ours, theirs, common, metric)
    if not rows:
        raise SafemlrmError(
            f"{one.name} and {other.name} have no pair, scenario and attack in common: nothing to compare"
        )
    return Comparison(one.name, other.name, tuple(sorted(rows, key=_worst_first)), tuple(notes))


def _matched(one: Side, other: Side) -> Iterator[tuple[Pair, Pair]]:
    """Yield pairs of one name, or where the second run has a single pair, each of ours with it."""
    names = [name for name in one.pairs if name in other.pairs]
    if not names and len(other.pairs) == 1:
        yield from ((ours, next(iter(other.pairs.values()))) for ours in one.pairs.values())
    yield from ((one.pairs[name], other.pairs[name]) for name in names)


def _common(ours: Pair, theirs: Pair) -> list[Asked]:
    there = set(_asked(theirs))
    return [asked for asked in _asked(ours) if asked in there]


def _asked(pair: Pair) -> list[Asked]:
    rated = [(rate.scenario, rate.attack) for rate in pair.rates]
    return list(dict.fromkeys([*pair.cells, *rated]))


def _refuse(one: Terms, other: Terms, common: Iterable[Asked], *names: str) -> None:
    """Raise `SafemlrmError` for the first thing that was not the same in both runs."""
    who = " and ".join(names)
    cure = "--rescore with the --store of both scores what they hold by the judge of today"
    for what, ours, theirs in (
        ("judged by other judges", one.judge, other.judge),
        ("counted at other cut-offs", one.unsafe_at, other.unsafe_at),
        ("counted on other channels", one.channel, other.channel),
    ):
        if None not in (ours, theirs) and ours != theirs:
            shown = "" if what.endswith("judges") else f" ({ours} and {theirs})"
            raise SafemlrmError(f"{who} were {what}{shown}, so they cannot be compared; {cure}")
    for scenario, attack in common:
        if _differ(one.prompts.get(scenario), other.prompts.get(scenario)):
            raise SafemlrmError(
                f"{who} asked other prompts of {scenario}, so they cannot be compared; measure both "
                "with the same ones"
            )
        if _differ(one.attacks.get(attack), other.attacks.get(attack)):
            raise SafemlrmError(
                f"{who} asked under other versions of {attack}, so they cannot be compared; measure "
                "both with the same one"
            )


def _differ(one: str | None, other: str | None) -> bool:
    return None not in (one, other) and one != other


def _alone(ours: Pair, theirs: Pair, common: Sequence[Asked], *names: str) -> Iterator[str]:
    for pair, name in zip((ours, theirs), names, strict=True):
        alone = [asked for asked in _asked(pair) if asked not in common]
        if alone:
            first = " / ".join(alone[0])
            yield f"{len(alone)} cases of {pair.name} are in {name} alone, {first} the first: not compared"


def _rows(ours: Pair, theirs: Pair, common: Sequence[Asked], metric: Metric) -> list[Row]:
    """Compare one metric case by case, then each scenario, then the pair."""
    both = [asked for asked in common if asked in ours.cells and asked in theirs.cells]
    both = [asked for asked in both if ours.cells[asked].expectation == metric.expectation]
    cells = _aligned(ours.cells, theirs.cells, both)
    rest = {
        asked: (mine, his)
        for asked in common
        if asked not in both
        for mine, his in [(_counts(ours, asked, metric), _counts(theirs, asked, metric))]
        if mine is not None and his is not None
    }
    found = [_paired(ours.name, metric, asked, [cells[asked]]) for asked in cells]
    found += [_unpaired(ours.name, metric, asked, [counts]) for asked, counts in rest.items()]
    for scenario in dict.fromkeys(scenario for scenario, _ in [*cells, *rest]):
        found += _pooled(ours.name, metric, scenario, cells, rest)
    if len({scenario for scenario, _ in [*cells, *rest]}) > 1:
        found += _pooled(ours.name, metric, ALL, cells, rest)
    return found


def _pooled(
    pair: str,
    metric: Metric,
    scenario: str,
    cells: Mapping[Asked, Compared],
    rest: Mapping[Asked, tuple[Counts, Counts]],
) -> Iterator[Row]:
    """Pool what is known by prompt, else the rates: the two are never put together."""
    compared = [c for asked, c in cells.items() if scenario in (ALL, asked[0])]
    rates = [c for asked, c in rest.items() if scenario in (ALL, asked[0])]
    if len(compared) > 1:
        yield _paired(pair, metric, (scenario, ALL), compared)
    if len(rates) > 1:
        scenarios = {asked[0] for asked in rest if scenario in (ALL, asked[0])}
        yield _unpaired(pair, metric, (scenario, ALL), rates, len(rates) / len(scenarios))


def _aligned(
    ours: Mapping[Asked, CellResult], theirs: Mapping[Asked, CellResult], both: Iterable[Asked]
) -> dict[Asked, Compared]:
    """Put the rows of both runs in one order of prompts, by their ids; a scenario's is that of all."""
    order: dict[str, dict[str, int]] = {}
    chosen = list(both)
    for asked in chosen:
        places = order.setdefault(asked[0], {})
        for side in (ours, theirs):
            for row in side[asked].rows:
                places.setdefault(row.prompt, len(places))
    return {
        asked: (_placed(ours[asked], order[asked[0]]), _placed(theirs[asked], order[asked[0]]))
        for asked in chosen
    }


def _placed(cell: CellResult, places: Mapping[str, int]) -> CellResult:
    rows = sorted(
        (replace(row, position=places[row.prompt]) for row in cell.rows),
        key=lambda row: row.position,
    )
    return replace(cell, rows=tuple(rows), planned=len(places), asked=len(places))


def _paired(pair: str, metric: Metric, asked: Asked, cells: Sequence[Compared]) -> Row:
    pairs = reduce(add, (paired(one, other, metric.bad) for one, other in cells))
    found = (
        tango_interval(pairs.n10, pairs.n01, pairs.known)
        if len(cells) == 1
        else widened(pairs, cells, metric.bad)
    )
    one, other = (
        reduce(add, (side[number].count(side[number].outcome(metric.bad)) for side in cells))
        for number in (0, 1)
    )
    return Row(pair, *asked, metric.name, one, other, found, True, pairs.n - pairs.known)


def _unpaired(
    pair: str,
    metric: Metric,
    asked: Asked,
    counts: Sequence[tuple[Counts, Counts]],
    attacks: float = 1.0,
) -> Row:
    """Compare two rates; pooled over attacks as if each prompt came out alike under all of them."""
    one, other = (reduce(add, (side[number] for side in counts)) for number in (0, 1))
    found = newcombe_unpaired(one.bad, one.known, other.bad, other.known)
    if not isnan(found.value):
        reach = sqrt(attacks)
        low = max(-1.0, found.value - reach * (found.value - found.low))
        high = min(1.0, found.value + reach * (found.high - found.value))
        found = replace(found, low=low, high=high)
    return Row(pair, *asked, metric.name, one, other, found, False, one.unknown + other.unknown)


def _counts(pair: Pair, asked: Asked, metric: Metric) -> Counts | None:
    """Return how often a case came out badly, from its cell or its rate; None where it has neither."""
    cell = pair.cells.get(asked)
    if cell is not None:
        right = cell.expectation == metric.expectation
        return cell.count(cell.outcome(metric.bad)) if right else None
    for rate in pair.rates:
        if (rate.scenario, rate.attack, rate.metric) == (*asked, metric.name):
            return _counted(rate)
    return None


def _counted(rate: Rate) -> Counts:
    return Counts(rate.bad, rate.unknown, rate.prompts)


def _worst_first(row: Row) -> tuple[bool, float, str, str, str, str]:
    value = row.difference.value
    rank = 2.0 if isnan(value) else -value
    return row.scenario != ALL, rank, row.pair, row.scenario, row.attack, row.metric
