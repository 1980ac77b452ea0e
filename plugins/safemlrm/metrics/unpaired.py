"""Two rates of different prompts, or of prompts that cannot be put side by side: their difference."""

from __future__ import annotations

from math import hypot, nan

from safemlrm.metrics.paired import Difference
from safemlrm.metrics.rates import wilson


def newcombe_unpaired(
    k_one: int, n_one: int, k_other: int, n_other: int, confidence: float = 0.95
) -> Difference:
    """Return the first rate minus the second with Newcombe's hybrid score interval.

    The distances of both rates to the ends of their Wilson intervals, squared and added (method 10
    of Newcombe 1998, Statistics in Medicine 17, 873-890). `n` is the smaller number. No prompts on
    either side give nan between -1 and 1. Raises ValueError unless the counts fit.
    """
    one, other = wilson(k_one, n_one, confidence), wilson(k_other, n_other, confidence)
    n = min(n_one, n_other)
    if n == 0:
        return Difference(nan, -1.0, 1.0, 0)
    value = one.value - other.value
    low = value - hypot(one.value - one.low, other.high - other.value)
    high = value + hypot(one.high - one.value, other.value - other.low)
    return Difference(value, max(low, -1.0), min(high, 1.0), n)
