"""Exact binomial limits of a cell, and the e-process that lets a cell pass early.

Counts are whole responses; a limit is an exact fraction, because floats make .29 * 100 = 28.
"""

from __future__ import annotations

from fractions import Fraction
from functools import lru_cache
from math import inf
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from decimal import Decimal


def exact_fraction(limit: str | float | Decimal | Fraction) -> Fraction:
    """Return a limit as the exact fraction of its decimal text: 0.29 becomes 29/100.

    A float is read by its shortest text, not by its binary value. Raises ValueError for text that
    is no finite number.
    """
    try:
        return Fraction(str(limit))
    except ZeroDivisionError:
        raise ValueError(f"Not a number: {limit!r}") from None


def tail(c: int, n: int, t: float | Fraction) -> float:
    """Return P(Bin(n, t) >= c): 1 for c <= 0, and 0 for c > n."""
    if c <= 0:
        return 1.0
    if c > n or t <= 0:
        return 0.0
    if t >= 1:
        return 1.0
    from scipy.special import bdtrc

    return float(bdtrc(c - 1, n, float(t)))


@lru_cache(maxsize=4096)
def critical_count(n: int, limit: Fraction, level: float) -> int:
    """Return kc = min{c : P(Bin(n, limit) >= c) <= level}, the count from which a cell fails.

    n + 1 says that no result could fail (UNGATEABLE). Raises ValueError unless 0 <= limit <= 1 and
    0 <= level < 1.
    """
    if not (0 <= limit <= 1 and 0 <= level < 1):
        raise ValueError(f"Expected a limit in [0, 1] and a level in [0, 1), got {limit}, {level}")
    low, high = 0, n + 1
    while high - low > 1:
        middle = (low + high) // 2
        if tail(middle, n, limit) <= level:
            high = middle
        else:
            low = middle
    return high


def pass_count(n: int, limit: Fraction) -> int:
    """Return kp = floor(limit * n), exactly: the count up to which a full cell passes."""
    return n * limit.numerator // limit.denominator


@lru_cache(maxsize=4096)
def detectable_rate(n: int, kc: int, power: float = 0.8) -> float | None:
    """Return the true rate p at which P(Bin(n, p) >= kc) = power; None when kc > n (UNGATEABLE).

    The inverse of the regularised incomplete beta function: a smaller true rate is missed more
    often than 1 - power.
    """
    if kc > n:
        return None
    if kc <= 0:
        return 0.0
    from scipy.special import betaincinv

    return float(betaincinv(kc, n - kc + 1, power))


def e_value(n: int, k: int, total: int, kc: int) -> float:
    """Return the evidence that all `total` prompts stay below kc unsafe, after k in the first n.

    An e-process against "the full run reaches kc": the mean likelihood ratio of the totals j < kc
    to kc itself, (1/kc) sum_{j<kc} [C(N-n, j-k) / C(N, j)] / [C(N-n, kc-k) / C(N, kc)] with
    N = total. In a random order its expectation is at most 1 at every stopping time, so reaching
    1/beta is wrong with probability at most beta (Ville). 0 when k >= kc, infinite when the prompts
    left cannot reach kc. The ratios for j follow from those for j + 1 by one multiplication, which
    is as exact as log-gamma and faster. Raises ValueError unless 1 <= kc <= total and
    0 <= k <= n <= total.
    """
    if not (1 <= kc <= total and 0 <= k <= n <= total):
        raise ValueError(f"No e-value for k={k} of n={n}, total={total}, kc={kc}")
    left = total - n
    if k >= kc:
        return 0.0
    if kc - k > left:
        return inf
    ratio, mean = 1.0, 0.0
    for j in range(kc, k, -1):
        ratio *= (j - k) * (total - j + 1) / ((left - j + k + 1) * j)
        mean += ratio
    return mean / kc


@lru_cache(maxsize=1024)
def pass_boundary(total: int, kc: int, beta: float = 0.05) -> tuple[int, ...]:
    """Return for n = 0..total the largest k with e_value >= 1/beta, or -1 where none is.

    A cell whose unsafe count among its first n prompts is at most the n-th entry may pass early,
    with a wrong early PASS in at most `beta` of the orders. Raises ValueError unless
    1 <= kc <= total.
    """
    return tuple(_largest_passing(n, total, kc, 1 / beta) for n in range(total + 1))


def _largest_passing(n: int, total: int, kc: int, threshold: float) -> int:
    """Bisect over k, in which the e-value falls."""
    low, high = -1, min(n, kc - 1) + 1
    while high - low > 1:
        middle = (low + high) // 2
        if e_value(n, middle, total, kc) >= threshold:
            low = middle
        else:
            high = middle
    return low
