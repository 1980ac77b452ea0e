"""The decisions of a run, gathered a case at a time and laid out as a grid a pair."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from safemlrm.metrics.rates import clopper_pearson
from safemlrm.reporting.page.marks import NOT_CONFIGURED, NOT_RUN, UNLIMITED, Mark, mark_of
from safemlrm.reporting.phrases import share
from safemlrm.reporting.record import Answers, Record
from safemlrm.reporting.worst import Worst
from safemlrm.types import ALL, Estimate

Subject = tuple[str, str, str]
"""Pair, scenario and attack; "all" where a pair as a whole was decided."""
STEPS = 10
"""Steps of the heat map's colour."""
LEADING = ("asr", "reasoning_tax", "over_refusal", "benign_helped")
"""Which metric's counts stand in a cell, the first that was decided."""


@dataclass(frozen=True, slots=True)
class CaseView:
    """A case or a pair as a whole with its decisions, worst first, and the responses to look at."""

    anchor: str
    subject: Subject
    records: tuple[Record, ...]
    worst: tuple[Worst, ...]

    @property
    def whole(self) -> bool:
        """Whether a pair or a scenario was decided and not a case."""
        return self.subject[2] == ALL

    @property
    def first(self) -> Record:
        """The worst decision, which is the case's verdict."""
        return self.records[0]

    @property
    def mark(self) -> Mark:
        """The verdict of the case as it looks."""
        return mark_of(self.first)

    @property
    def leading(self) -> Record:
        """The decision whose counts stand for the case."""
        order = {name: place for place, name in enumerate(LEADING)}
        return min(self.records, key=lambda record: order.get(record.metric, len(order)))

    @property
    def sides(self) -> tuple[Answers, ...]:
        """What the two models answered, candidate first."""
        return tuple(filter(None, (self.leading.candidate, self.leading.base)))


@dataclass(frozen=True, slots=True)
class Cell:
    """One cell of the heat map: the case it leads to, its rates, and what hovering says."""

    mark: Mark
    anchor: str = ""
    candidate: str = ""
    base: str = ""
    step: int = 0
    about: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Row:
    """A scenario's cells, in the order of the grid's attacks."""

    scenario: str
    expectation: str
    cells: tuple[Cell, ...]


@dataclass(frozen=True, slots=True)
class Grid:
    """The heat map of a pair."""

    pair: str
    attacks: tuple[str, ...]
    rows: tuple[Row, ...]


def views_of(
    records: Iterable[Record], worst: Mapping[Subject, Sequence[Worst]]
) -> dict[Subject, CaseView]:
    """Gather decisions a subject at a time, in the order they come in."""
    found: dict[Subject, list[Record]] = {}
    for record in records:
        found.setdefault(record.subject, []).append(record)
    return {
        subject: CaseView(f"case-{number}", subject, tuple(of_it), tuple(worst.get(subject, ())))
        for number, (subject, of_it) in enumerate(found.items(), start=1)
    }


def grids_of(summary: Mapping[str, Any], views: Mapping[Subject, CaseView]) -> list[Grid]:
    """Return a heat map for every pair of which a case was decided, counted or left out.

    A pair's scenarios and attacks are those it was configured to be asked.
    """
    rates = {(r["pair"], r["scenario"], r["attack"]): r for r in reversed(summary["rates"])}
    unrun = {(e["pair"], e["scenario"], e["attack"]) for e in summary.get("not_run", ())}
    cases = [subject for subject in (*views, *rates, *unrun) if subject[2] != ALL]
    expected = summary.get("scenarios", {})
    grids = []
    for pair in sorted({pair for pair, _, _ in cases}):
        attacks = _ordered(summary.get("attacks", {}), {s[2] for s in cases if s[0] == pair})
        scenarios = _ordered(expected, {s[1] for s in cases if s[0] == pair})
        rows = tuple(
            Row(
                scenario,
                expected.get(scenario, {}).get("expectation", ""),
                tuple(_cell((pair, scenario, attack), views, rates, unrun) for attack in attacks),
            )
            for scenario in scenarios
        )
        grids.append(Grid(pair, attacks, rows))
    return grids


def _ordered(configured: Iterable[str], found: Collection[str]) -> tuple[str, ...]:
    """Return what was found in the order of the configuration, anything else behind it."""
    known = [name for name in configured if name in found]
    return tuple(dict.fromkeys((*known, *sorted(found))))


def _cell(
    subject: Subject,
    views: Mapping[Subject, CaseView],
    rates: Mapping[Subject, Mapping[str, Any]],
    unrun: Collection[Subject],
) -> Cell:
    if subject in views:
        return _decided(views[subject])
    if subject not in rates:
        return Cell(NOT_RUN if subject in unrun else NOT_CONFIGURED)
    rate = rates[subject]
    known = clopper_pearson(rate["bad"], rate["prompts"] - rate["unknown"])
    about = (f"{rate['metric']}: {share(known)}", "measured; no limit is configured or selected")
    return Cell(UNLIMITED, candidate=_short(known), step=_step(known), about=about)


def _decided(view: CaseView) -> Cell:
    leading = view.leading
    candidate, base = estimate(leading.candidate), leading.base and estimate(leading.base)
    about = [f"candidate {leading.candidate.model}: {share(candidate)}"]
    about += [f"base {leading.base.model}: {share(base)}"] if leading.base and base else []
    about += [record.sentence for record in view.records]
    return Cell(
        mark=view.mark,
        anchor=view.anchor,
        candidate=_short(candidate),
        base=_short(base) if base else "",
        step=_step(candidate),
        about=tuple(about),
    )


def estimate(answers: Answers) -> Estimate:
    """Return how often one model's answers came out badly, with the exact interval."""
    return clopper_pearson(answers.bad, answers.known)


def _short(rate: Estimate) -> str:
    return f"{rate.value:.1%}" if rate.n else "no rate"


def _step(rate: Estimate) -> int:
    return round(rate.value * STEPS) if rate.n else 0
