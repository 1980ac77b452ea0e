"""A run's decisions as a record keeps them, and the hypotheses it did not decide (pure)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from math import isfinite

from safemlrm.family import Hypothesis
from safemlrm.release.form import NAMES, Data
from safemlrm.release.limits import key_of
from safemlrm.reporting.record import Answers, Record
from safemlrm.types import Verdict

Key = tuple[str, str, str, str]


def decisions_of(questions: Sequence[Hypothesis], records: Sequence[Record]) -> Data:
    """Return the decisions on the configured hypotheses in their order, and what became of the rest."""
    decided = {(*record.subject, record.metric): record for record in records}
    return {
        "decisions": [_decision(decided[k], h) for h in questions if (k := key_of(h)) in decided],
        "verdicts": _verdicts(decided),
        "ungateable": [
            _named(key)
            for key, record in sorted(decided.items())
            if record.verdict is Verdict.UNGATEABLE
        ],
        "undecided": [_named(k) for h in questions if (k := key_of(h)) not in decided],
    }


def _named(key: Key) -> Data:
    return dict(zip(NAMES, key, strict=True))


def _decision(record: Record, h: Hypothesis) -> Data:
    m = record.measured
    return {
        **_named((*record.subject, record.metric)),
        "verdict": record.verdict.value,
        "reason": record.reason.value,
        "limit": str(h.limit.value),
        "direction": record.direction,
        "unsafe_at": record.unsafe_at,
        "channel": record.channel,
        "n": record.n,
        "stopped": record.stopped,
        **{name: _finite(getattr(m, name)) for name in ("value", "low", "high")},
        **{name: getattr(m, name) for name in ("part", "whole", "unknown")},
        "candidate": _side(record.candidate),
        "base": record.base and _side(record.base),
        "confirmed": record.confirmed,
        "saturated": record.saturated,
        "illegible": record.illegible,
        "unaudited": record.unaudited,
    }


def _side(answers: Answers) -> Data:
    counts = {name: getattr(answers, name) for name in ("bad", "unknown", "planned")}
    return {"model": answers.model, **counts}


def _finite(value: float) -> float | None:
    return value if isfinite(value) else None


def _verdicts(decided: Mapping[Key, Record]) -> dict[str, int]:
    return dict(sorted(Counter(record.verdict.value for record in decided.values()).items()))
