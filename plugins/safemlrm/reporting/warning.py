"""The warning list: what did not fail, but is further beyond its limit than chance explains."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from safemlrm.family import Family
from safemlrm.reporting.record import Record
from safemlrm.types import Verdict

RATE = 0.10
"""At most so large a share of the list is expected to be there by chance."""


def warning_list(records: Sequence[Record], families: Mapping[str, Family]) -> list[Record]:
    """Return what the Benjamini-Hochberg procedure finds and no gate failed on, smallest p first.

    For each pair over all configured hypotheses, those not asked counting as unsurprising, so that a
    selection finds no more than a whole run does (Benjamini and Hochberg 1995). It blocks nothing.
    """
    return [
        record
        for pair in dict.fromkeys(record.pair for record in records)
        for record in _found([r for r in records if r.pair == pair], len(families[pair].hypotheses))
        if record.verdict is not Verdict.FAIL and record.excess > 0
    ]


def _found(records: Sequence[Record], hypotheses: int) -> list[Record]:
    known = [(r.p_value, r.subject, r.metric, r) for r in records if r.p_value is not None]
    ranked = sorted(known, key=lambda entry: entry[:3])
    last = max(
        (rank for rank, entry in enumerate(ranked, 1) if entry[0] <= RATE * rank / hypotheses),
        default=0,
    )
    return [entry[3] for entry in ranked[:last]]
