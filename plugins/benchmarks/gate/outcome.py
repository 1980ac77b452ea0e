"""What a whole build comes to: its decisions, confirmed where that is on, and the prompts they took."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from math import ceil

from safemlrm.confirm import confirm, left_open
from safemlrm.decision import Decision
from safemlrm.evidence import Counts
from safemlrm.family import FIRST, Family, Hypothesis
from safemlrm.rounds import STEP
from safemlrm.types import Case, Tier

from .designs import Cell
from .simulate import Runs, decide_case, decide_whole

Fresh = Callable[[Cell], Counts]
"""The counts of a cell's fresh responses."""


@dataclass(frozen=True)
class Result:
    """A build's decisions with the prompts each case took, and the fresh prompts that were asked."""

    decisions: tuple[Decision, ...]
    stops: tuple[tuple[Cell, int], ...]
    fresh: int

    @property
    def needed(self) -> dict[Cell, int]:
        """The prompts each cell is asked until all of its hypotheses are decided."""
        found: dict[Cell, int] = {}
        for cell, stop in self.stops:
            found[cell] = max(stop, found.get(cell, 0))
        return found


def decide(
    family: Family,
    runs: Runs,
    fresh: Fresh | None = None,
    *,
    only: Callable[[Hypothesis], bool] = lambda h: True,
    early: bool = True,
) -> Result:
    """Decide a build; `fresh` gives the counts of fresh responses where confirming is on."""
    decisions: list[Decision] = []
    stops = []
    for h in filter(only, family.hypotheses):
        if isinstance(h.subject, Tier):
            decisions.append(decide_whole(h, runs, early=early))
            continue
        decision, stop = decide_case(h, runs, early=early)
        decisions.append(decision)
        stops.append(((h.subject.scenario, h.subject.attack), stop))
    if fresh is None:
        return Result(tuple(decisions), tuple(stops), 0)
    return _confirmed(family, Result(tuple(decisions), tuple(stops), 0), fresh)


def _confirmed(family: Family, result: Result, fresh: Fresh) -> Result:
    """Decide what noise left open again, on fresh responses."""
    left: dict[Case, tuple[Hypothesis, Counts]] = {}
    for d in result.decisions:
        case = d.hypothesis.subject
        if isinstance(case, Case) and left_open(d):
            left[case] = d.hypothesis, fresh((case.scenario, case.attack))
    found = confirm(left, family.ledger.level("confirm"))
    settled = [
        found[case] if left_open(d) and isinstance(case := d.hypothesis.subject, Case) else d
        for d in result.decisions
    ]
    return replace(result, decisions=tuple(settled), fresh=sum(c.n for _, c in left.values()))


def asked(needed: dict[Cell, int], planned: dict[Cell, int], batch: int = 64) -> dict[Cell, int]:
    """Return how many prompts `rounds` asks of cells that leave at the round after they may."""
    done = {cell: min(FIRST, planned[cell]) for cell in needed}
    while live := [cell for cell in needed if done[cell] < needed[cell]]:
        step = max(STEP, ceil(batch / len(live)))
        for cell in live:
            done[cell] = min(done[cell] + step, planned[cell])
    return done
