"""Rates of one model: a count of n with its interval."""

from __future__ import annotations

from math import isnan, nan, sqrt
from statistics import NormalDist

from safemlrm.types import Estimate

SMALL = 30
"""Under this many, `proportion` gives the exact interval instead of Wilson's."""


def clopper_pearson(k: int, n: int, confidence: float = 0.95) -> Estimate:
    """Return k of n with the exact two-sided interval (Clopper and Pearson 1934).

    n = 0 gives nan between 0 and 1. Raises ValueError unless 0 <= k <= n.
    """
    _check(k, n)
    if n == 0:
        return Estimate(nan, 0.0, 1.0, 0, 0)
    tail = (1 - confidence) / 2
    return Estimate(k / n, _lower(k, n, tail), 1 - _lower(n - k, n, tail), k, n)


def mean_share(value: float, prompts: float, confidence: float = 0.95) -> Estimate:
    """Return a mean of shares over prompts with the interval of so large a count of them.

    Prompts are the unit: shares between 0 and 1 vary at most as much as a count with their mean does,
    so the interval is wide enough. `successes` and `n` are rounded. nan or no prompt gives nan.
    """
    if isnan(value) or prompts <= 0:
        return Estimate(nan, 0.0, 1.0, 0, 0)
    tail, bad = (1 - confidence) / 2, value * prompts
    low, high = _lower(bad, prompts, tail), 1 - _lower(prompts - bad, prompts, tail)
    return Estimate(value, low, high, round(bad), round(prompts))


def wilson(k: int, n: int, confidence: float = 0.95) -> Estimate:
    """Return k of n with the score interval (Wilson 1927).

    n = 0 gives nan between 0 and 1. Raises ValueError unless 0 <= k <= n.
    """
    _check(k, n)
    if n == 0:
        return Estimate(nan, 0.0, 1.0, 0, 0)
    z = NormalDist().inv_cdf(0.5 + confidence / 2)
    value = k / n
    centre = (value + z * z / (2 * n)) / (1 + z * z / n)
    half = z * sqrt(value * (1 - value) / n + z * z / (4 * n * n)) / (1 + z * z / n)
    low = 0.0 if k == 0 else centre - half
    high = 1.0 if k == n else centre + half
    return Estimate(value, low, high, k, n)


def proportion(k: int, n: int, confidence: float = 0.95) -> Estimate:
    """Return k of n with Wilson's interval, or Clopper-Pearson's where n is under 30.

    For rates whose denominator is itself random, such as self-correction.
    """
    return (clopper_pearson if n < SMALL else wilson)(k, n, confidence)


def upper_bound(k: int, n: int, confidence: float = 0.95) -> float:
    """Return the one-sided Clopper-Pearson upper bound of k of n (1 when n = 0).

    `show_safe` passes only where it is at or below the limit, at the fixed full n. Raises
    ValueError unless 0 <= k <= n.
    """
    _check(k, n)
    return 1 - _lower(n - k, n, 1 - confidence)


def _lower(k: float, n: float, tail: float) -> float:
    """Return the rate at which k or more of n have probability `tail`."""
    if k <= 0:
        return 0.0
    from scipy.special import betaincinv

    return float(betaincinv(k, n - k + 1, tail))


def _check(k: int, n: int) -> None:
    if not 0 <= k <= n:
        raise ValueError(f"Expected 0 <= k <= n, got k={k}, n={n}")
