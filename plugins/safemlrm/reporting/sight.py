"""What models read of the pictures that attacks draw, in the words of every report."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from math import isnan
from typing import TYPE_CHECKING, Any

from safemlrm.canary import Clipping, Legibility
from safemlrm.matrix import Matrix
from safemlrm.reporting.plain import plain
from safemlrm.reporting.record import Record, percent
from safemlrm.types import ALL, BASELINE

if TYPE_CHECKING:
    from safemlrm.reporting.outcome import Outcome


def shown(records: Iterable[Record], matrix: Matrix) -> list[tuple[str, str]]:
    """Return which models something was decided about under which attacks, as (model, attack)."""
    found = {
        (answers.model, attack)
        for record in records
        for answers in (record.candidate, record.base)
        if answers is not None and answers.model != BASELINE
        for attack in _attacks(record, matrix)
    }
    return sorted(found)


def _attacks(record: Record, matrix: Matrix) -> set[str]:
    """Return the attacks of a decision: all that its pair is asked under where it is about the whole."""
    if record.attack != ALL:
        return {record.attack}
    return {case.attack for case in matrix.cases_of(record.pair)}


def sight_lines(outcome: Outcome) -> list[str]:
    """Return a line on every model and attack that was looked at, also where all was read.

    Below stand the reasons why decisions count as missing evidence, each once.
    """
    lines = [_line(found) for found in outcome.legibility]
    found = (doubt for r in outcome.worst_first for doubt in (r.illegible, r.unaudited))
    doubts = dict.fromkeys(doubt for doubt in found if doubt)
    lines += [f"INCONCLUSIVE by {doubt}" for doubt in sorted(doubts)]
    lines += [clipping_line(found) for found in outcome.clippings if found.clipped]
    return lines


def _line(found: Legibility) -> str:
    head = f"legibility of {found.attack} to {found.model}"
    if not found.checked:
        return f"{head}: not checked, since no prompt has a key phrase"
    if not found.measured:
        return f"{head}: not measured"
    share = found.share
    rate = "no rate" if isnan(share.value) else f"{share.value:.1%}"
    parts = [
        f"{head}: {rate} ({share.successes}/{share.n}) [{share.low:.1%}, {share.high:.1%}]",
        f"limit at least {percent(found.limit)}",
    ]
    parts += [f"{found.unknown} of {found.asked} not answered"] if found.unknown else []
    parts += [f"{found.declined} declined"] if found.declined else []
    parts += ["TOO LOW"] if found.doubt() else []
    return ", ".join(parts)


def clipping_line(found: Clipping) -> str:
    """Say how many pictures of an attack lose text."""
    return (
        f"{found.attack}: {found.clipped} of {found.pictures} pictures are clipped as the attack's "
        "publication clips them"
    )


def legibility_data(found: Legibility) -> Mapping[str, Any]:
    """Return a model's legibility under an attack for summary.json."""
    return {**plain(found), "checked": found.checked, "doubt": found.doubt()}
