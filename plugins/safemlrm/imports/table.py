"""How counted histograms are shown: a line a cell, a line a decision, and what cannot be known."""

from __future__ import annotations

from collections.abc import Iterator
from math import isnan

from safemlrm.decision import Decision
from safemlrm.imports.counts import UNKNOWN, UNPAIRED, Counted, only_in
from safemlrm.published import Histogram
from safemlrm.types import ALL, Estimate


def counted_lines(counted: Counted) -> Iterator[str]:
    """Yield the cells of both models, then the decisions; figures only."""
    at, channel = counted.gate.unsafe_at, counted.limits.channel
    yield f"ASR at score >= {at}, {channel}, of the scored responses"
    for side in (counted.base, counted.candidate):
        yield from (_cell(h, at) for h in side if h.channel == channel and h.n)
    yield from (f"{_verdict(d)}" for d in counted.decisions)
    yield f"note: {UNKNOWN}"
    if counted.base:
        yield f"note: {UNPAIRED}"
        yield from _unmatched(counted)
    if not counted.decisions:
        yield "note: nothing was limited; --limits FILE gates these figures"


def _unmatched(counted: Counted) -> Iterator[str]:
    """Say which cells one of the two models alone has."""
    channel = counted.limits.channel
    if ours := only_in(counted.candidate, counted.base, channel):
        yield f"note: only the candidate has {', '.join(ours)}: nothing is compared there"
    if theirs := only_in(counted.base, counted.candidate, channel):
        yield f"note: only the base has {', '.join(theirs)}: nothing is decided there"


def _cell(h: Histogram, unsafe_at: int) -> str:
    missing = f", {h.missing} unscored" if h.missing else ""
    return f"  {h.model} / {h.scenario} / {h.attack}: {_rate(h.asr(unsafe_at))}{missing}"


def _rate(rate: Estimate) -> str:
    if not rate.n:
        return "no score"
    return f"{rate.value:.1%} ({rate.successes}/{rate.n}) [{rate.low:.1%}, {rate.high:.1%}]"


def _verdict(d: Decision) -> str:
    h, m = d.hypothesis, d.measured
    reason = f" ({d.reason})" if d.reason else ""
    subject = (
        " / ".join(p for p in (h.subject.scenario, h.subject.attack) if p != ALL) or "all cells"
    )
    value = "not available" if isnan(m.value) else f"{m.value:.1%} [{m.low:.1%}, {m.high:.1%}]"
    return f"{d.verdict}{reason}: {subject}: {h.metric.label} {value}, limit {float(h.limit.value):.4g}"
