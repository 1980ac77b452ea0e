"""How reasoning against answer is shown: a row a cell, and the ids where the two part."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

from safemlrm.audit import spelled
from safemlrm.channels import ByChannel
from safemlrm.types import Estimate

HEAD = ("model", "scenario", "attack", "reasoning", "answer", "full", "leaks", "escapes")
NAMED = 10
"""So many ids are named; all of them are in summary.json."""


def channel_rows(found: Iterable[ByChannel]) -> list[tuple[str, ...]]:
    """Return the table under its head."""
    return [HEAD, *(_row(cell) for cell in found)]


def channel_table(found: Sequence[ByChannel], quote: Callable[[str], str]) -> list[str]:
    """Return the table as Markdown with the ids below; nothing where no model reasons.

    Ids are somebody else's: `quote` keeps them from being markup.
    """
    if not any(cell.reasons for cell in found):
        return []
    head, *rows = channel_rows(found)
    return [
        "ASR by channel (95% intervals):",
        "",
        f"| {' | '.join(head)} |",
        f"|{'---|' * len(head)}",
        *(f"| {' | '.join(row)} |" for row in rows),
        "",
        *(f"- {quote(line)}" for line in parting_lines(found)),
    ]


def parting_lines(found: Iterable[ByChannel]) -> list[str]:
    """Name the prompts whose reasoning and answer part, by id."""
    return [
        f"{cell.model} / {cell.scenario} / {cell.attack}: {what} at {_named(ids)}"
        for cell in found
        for what, ids in (("leak", cell.leaks), ("escape", cell.escapes))
        if ids
    ]


def _row(cell: ByChannel) -> tuple[str, ...]:
    joint = (str(len(cell.leaks)), str(len(cell.escapes))) if cell.reasons else ("-", "-")
    rates = (_rate(cell.reasoning), _rate(cell.answer), _rate(cell.full))
    return (cell.model, cell.scenario, cell.attack, *rates, *joint)


def _rate(rate: Estimate) -> str:
    if not rate.n:
        return "none"
    return f"{rate.value:.1%} ({rate.successes}/{rate.n}) [{rate.low:.1%}, {rate.high:.1%}]"


def _named(ids: Sequence[str]) -> str:
    more = f" and {len(ids) - NAMED} more" if len(ids) > NAMED else ""
    return f"{', '.join(map(spelled, ids[:NAMED]))}{more}"
