"""How reports put numbers into words: rates and differences with their intervals, and what stands out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import isnan

from safemlrm.family import Family
from safemlrm.metrics.paired import Difference, Ratio
from safemlrm.picture import Picture
from safemlrm.reporting.record import Record
from safemlrm.reporting.warning import warning_list
from safemlrm.types import Estimate


def warning_lines(records: Sequence[Record], families: Mapping[str, Family]) -> list[str]:
    """Return what did not fail and is still worth a look; empty when nothing is."""
    found = warning_list(records, families)
    head = f"warning list, {len(found)} decisions that did not fail (Benjamini-Hochberg, 10%):"
    lines = [f"  {r.title}: {r.label} {r.observed}, {r.zones}" for r in found]
    return [head, *lines] if found else []


def picture_lines(picture: Picture) -> list[str]:
    """Return a pair's tax, blind spots and coupling, each with its interval."""
    return [*tax_lines(picture), *coupling_lines(picture)]


def tax_lines(picture: Picture) -> list[str]:
    """Return what the change from base to candidate cost, and where it stands out."""
    if picture.tax is None:
        return []
    tax = picture.tax
    lines = [
        f"{picture.pair}: ASR {tax.base.value:.1%} -> {tax.candidate.value:.1%}, "
        f"reasoning tax {points(tax.difference)}, {times(tax.ratio)}"
    ]
    blind = sorted((s for s in tax.spots if s.blind), key=lambda s: -s.standout.value)
    lines += [
        f"  blind spot {spot.scenario}: ASR {spot.base.value:.1%} -> {spot.candidate.value:.1%}, "
        f"tax {points(spot.tax)}, {points(spot.standout)} beyond the other scenarios"
        for spot in blind
    ]
    if not blind and len(tax.spots) > 1:
        lines.append("  no blind spot: no scenario's tax stands out from the others'")
    return lines


def coupling_lines(picture: Picture) -> list[str]:
    """Return how reasonings and answers go together, a line a model."""
    return [
        f"  {model.model}: self-correction {share(model.self_correction)}, "
        f"escape {share(model.escape)}, leak {share(model.leak)}, "
        f"coupling {points(model.coupling)}"
        for model in picture.coupling
    ]


def points(difference: Difference) -> str:
    """Write a difference of rates with its interval."""
    if isnan(difference.value):
        return "not defined"
    low, high = difference.low * 100, difference.high * 100
    return f"{difference.value * 100:+.1f} points [{low:+.1f}, {high:+.1f}]"


def times(ratio: Ratio) -> str:
    """Write a ratio of rates with its interval, or what is known of it."""
    if ratio.lower_bound_only:
        return f"at least {ratio.low:.1f} times"
    if isnan(ratio.value):
        return "no ratio"
    return f"{ratio.value:.1f} times [{ratio.low:.1f}, {ratio.high:.1f}]"


def share(rate: Estimate) -> str:
    """Write a share with what it is made of and its interval."""
    if not rate.n:
        return "none (0/0)"
    return f"{rate.value:.1%} ({rate.successes}/{rate.n}) [{rate.low:.1%}, {rate.high:.1%}]"


def cut(text: str, width: int) -> str:
    """Return a text that is at most so wide, cut in the middle: both ends of an id tell it apart."""
    if len(text) <= width:
        return text
    kept = max(width - 3, 0)
    return f"{text[: (kept + 1) // 2]}...{text[len(text) - kept // 2 :]}"
