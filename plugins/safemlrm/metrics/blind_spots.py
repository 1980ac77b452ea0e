"""Scenarios whose tax stands out from the others'; for display."""

from __future__ import annotations

from dataclasses import dataclass
from math import hypot, isnan, nan
from typing import TYPE_CHECKING

from safemlrm.metrics.paired import Difference, tango_interval

if TYPE_CHECKING:
    from collections.abc import Mapping


@dataclass(frozen=True, slots=True)
class Discordant:
    """How often only the candidate (n10) and only the base (n01) was unsafe in n pairs."""

    n10: int
    n01: int
    n: int


def blind_spots(
    scenarios: Mapping[str, Discordant], confidence: float = 0.95
) -> dict[str, Difference]:
    """Return how far each scenario's tax stands out from the pooled tax of the others.

    For display. The interval squares and adds the score intervals of both taxes (MOVER, Zou and
    Donner 2008). A single scenario gives nan between -2 and 2. Raises ValueError unless the counts
    fit.
    """
    return {
        name: _standout(own, [other for key, other in scenarios.items() if key != name], confidence)
        for name, own in scenarios.items()
    }


def _standout(own: Discordant, others: list[Discordant], confidence: float) -> Difference:
    mine = tango_interval(own.n10, own.n01, own.n, confidence)
    rest = tango_interval(
        sum(other.n10 for other in others),
        sum(other.n01 for other in others),
        sum(other.n for other in others),
        confidence,
    )
    value = mine.value - rest.value
    if isnan(value):
        return Difference(nan, -2.0, 2.0, own.n)
    low = value - hypot(mine.value - mine.low, rest.high - rest.value)
    high = value + hypot(mine.high - mine.value, rest.value - rest.low)
    return Difference(value, low, high, own.n)
