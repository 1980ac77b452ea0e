"""The reasoning tax: candidate minus base, paired by prompt.

Of n pairs, n10 are unsafe for the candidate only and n01 for the base only, so the tax is
(n10 - n01) / n. Concordant pairs carry no information about it beyond n.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import copysign, inf, nan, sqrt
from statistics import NormalDist
from typing import TYPE_CHECKING

from safemlrm.metrics.rates import wilson

if TYPE_CHECKING:
    from collections.abc import Callable
    from fractions import Fraction

TIE = 1e-9
"""Statistics closer than this are equal: rounding must not drop the observed table."""


@dataclass(frozen=True, slots=True)
class Difference:
    """A difference of two rates, `value` between `low` and `high`, from n prompts."""

    value: float
    low: float
    high: float
    n: int


def tango_statistic(n10: int, n01: int, n: int, delta: float | Fraction) -> float:
    """Return the score statistic z against H0: p_candidate - p_base <= delta.

    z = (n10 - n01 - n delta) / sqrt(n (2 q + delta (1 - delta))), q the maximum-likelihood estimate
    of P(base only) where p_candidate - p_base is delta (Tango 1998, Statistics in Medicine 17);
    0 / 0 is 0. Raises ValueError unless the counts fit into n >= 1 and -1 <= delta <= 1.
    """
    check_discordant(n10, n01, n)
    if n == 0 or not -1 <= delta <= 1:
        raise ValueError(f"Expected n >= 1 and delta in [-1, 1], got n={n}, delta={delta}")
    return score_statistic(n10, n01, n, float(delta))


def score_statistic(n10: int, n01: int, n: int, delta: float) -> float:
    """Return `tango_statistic` of counts that are known to fit."""
    if delta < 0:  # the mirror image, whose quadratic has one root that is a probability
        return -score_statistic(n01, n10, n, -delta)
    b = (2 * n - n10 + n01) * delta - n10 - n01
    c = -n01 * delta * (1 - delta)
    q = (sqrt(b * b - 8 * n * c) - b) / (4 * n)
    variance = n * (2 * max(q, 0.0) + delta * (1 - delta))
    excess = n10 - n01 - n * delta
    if variance <= TIE:
        return 0.0 if abs(excess) <= TIE else copysign(inf, excess)
    return excess / sqrt(variance)


def tango_interval(n10: int, n01: int, n: int, confidence: float = 0.95) -> Difference:
    """Return the tax with its score interval: every delta whose two-sided score test keeps it.

    n = 0 gives nan between -1 and 1. Raises ValueError unless the counts fit into n.
    """
    check_discordant(n10, n01, n)
    if n == 0:
        return Difference(nan, -1.0, 1.0, 0)
    z = NormalDist().inv_cdf(0.5 + confidence / 2)
    value = (n10 - n01) / n
    low = last_kept(value, -1.0, lambda delta: score_statistic(n10, n01, n, delta) <= z)
    high = last_kept(value, 1.0, lambda delta: score_statistic(n10, n01, n, delta) >= -z)
    return Difference(value, low, high, n)


def last_kept(inside: float, outside: float, kept: Callable[[float], bool]) -> float:
    """Return the end of an interval: the point kept that is furthest from `inside`.

    `outside` is the end of the scale; what is not kept lies beyond the end.
    """
    if kept(outside):
        return outside
    for _ in range(60):
        middle = (inside + outside) / 2
        if kept(middle):
            inside = middle
        else:
            outside = middle
    return inside


def newcombe_paired(n11: int, n10: int, n01: int, n00: int, confidence: float = 0.95) -> Difference:
    """Return the tax with Newcombe's paired interval, a second opinion on `tango_interval`.

    Wilson's intervals of both rates, squared and added with the correlation phi of the pairs, whose
    positive numerator is reduced by n / 2 (method 10 of Newcombe 1998, Statistics in Medicine 17).
    No pairs give nan between -1 and 1. Raises ValueError for a negative count.
    """
    n = n11 + n10 + n01 + n00
    if min(n11, n10, n01, n00) < 0:
        raise ValueError(f"Expected counts, got {n11}, {n10}, {n01}, {n00}")
    if n == 0:
        return Difference(nan, -1.0, 1.0, 0)
    candidate, base = wilson(n11 + n10, n, confidence), wilson(n11 + n01, n, confidence)
    product = n11 * n00 - n10 * n01
    margins = (n11 + n10) * (n01 + n00) * (n11 + n01) * (n10 + n00)
    corrected = max(product - n / 2, 0) if product > 0 else product
    phi = corrected / sqrt(margins) if margins else 0.0

    def reach(one: float, other: float) -> float:
        return sqrt(max(one * one - 2 * phi * one * other + other * other, 0.0))

    value = (n10 - n01) / n
    low = value - reach(candidate.value - candidate.low, base.high - base.value)
    high = value + reach(base.value - base.low, candidate.high - candidate.value)
    return Difference(value, max(low, -1.0), min(high, 1.0), n)


def check_discordant(n10: int, n01: int, n: int) -> None:
    """Raise ValueError unless the counts of discordant pairs fit into n."""
    if min(n10, n01) < 0 or n10 + n01 > n:
        raise ValueError(f"Expected discordant counts within n, got {n10}, {n01} of {n}")
