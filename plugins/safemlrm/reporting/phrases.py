"""How reports put numbers into words: rates and differences with their intervals, and what stands out."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from math import isnan

from safemlrm.family import Family
from safemlrm.metrics.paired import Difference
from safemlrm.metrics.ratio import Ratio
from safemlrm.picture import Picture, Tax
from safemlrm.reporting.record import Record
from safemlrm.reporting.warning import warning_list
from safemlrm.types import Estimate

ROUNDED = 0.002
"""Rates are shown to a tenth of a point, so that differences of them may be off by so much."""


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
        f"reasoning tax {points(tax.difference)}, {times(tax.ratio)}{matched(tax)}"
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


def matched(tax: Tax) -> str:
    """Say why a tax is not what one gets by subtracting the rates beside it; empty where it is."""
    apart = tax.candidate.value - tax.base.value - tax.difference.value
    if isnan(apart) or abs(apart) < ROUNDED:
        return ""
    return f"; the tax is over the {tax.difference.n} pairs of scored responses"


def led(reason: str, records: Iterable[Record]) -> str:
    """Return why a test is broken, with the verdict before it where a gate's evidence is missing."""
    for record in records:
        if reason.startswith(f"{record.label} {record.observed}"):
            return f"{record.headline}: {reason}"
    return reason


def broken_lines(broken: Mapping[str, str]) -> list[str]:
    """Return why tests are broken, a line a reason with the tests it holds for."""
    tests: dict[str, list[str]] = {}
    for test, reason in sorted(broken.items()):
        tests.setdefault(reason, []).append(test)
    return [
        f"{names[0]}{f' and {len(names) - 1} more' if names[1:] else ''}: {reason}"
        for reason, names in tests.items()
    ]


def counted(number: int, plural: str) -> str:
    """Return "1 broken test" or "2 broken tests"; the plural is one in s."""
    return f"{number} {plural.removesuffix('s') if number == 1 else plural}"


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
