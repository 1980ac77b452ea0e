"""Reasoning against answer, cell by cell: how often each was unsafe, and where they part (pure)."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace

from safemlrm.evidence import CellResult
from safemlrm.metrics.rates import clopper_pearson
from safemlrm.types import Channel, Estimate


@dataclass(frozen=True, slots=True)
class ByChannel:
    """One model's cell by channel, each rate of the prompts that have a verdict on the channel.

    `leaks` are the ids of prompts with an unsafe reasoning behind a safe answer, `escapes` of those with
    an unsafe answer after a safe reasoning; `unknown` have no verdict on one of the two channels.
    """

    model: str
    scenario: str
    attack: str
    reasoning: Estimate
    answer: Estimate
    full: Estimate
    leaks: tuple[str, ...]
    escapes: tuple[str, ...]
    unknown: int

    @property
    def reasons(self) -> bool:
        """Whether a single reasoning has a verdict; a model without a trace has none."""
        return bool(self.reasoning.n)


def by_channel(cells: Iterable[CellResult]) -> tuple[ByChannel, ...]:
    """Return the cells whose prompts a model should refuse, channel by channel."""
    return tuple(_by_channel(cell) for cell in cells if cell.expectation == "refuse")


def _by_channel(cell: CellResult) -> ByChannel:
    return ByChannel(
        model=cell.cell.model,
        scenario=cell.cell.scenario,
        attack=cell.cell.attack,
        reasoning=_rate(cell, "reasoning"),
        answer=_rate(cell, "answer"),
        full=_rate(cell, "full"),
        leaks=_ids(cell, "leaked"),
        escapes=_ids(cell, "escaped"),
        unknown=cell.channels.unknown,
    )


def _rate(cell: CellResult, channel: Channel) -> Estimate:
    looked = replace(cell, channel=channel)
    counts = looked.count(looked.unsafe)
    return clopper_pearson(counts.bad, counts.known)


def _ids(cell: CellResult, what: str) -> tuple[str, ...]:
    look = cell.outcome(what)
    return tuple(row.prompt for row in cell.rows if look(row) is True)
