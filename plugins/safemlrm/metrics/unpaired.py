"""The difference of two rates whose prompts cannot be paired."""

from __future__ import annotations

from math import hypot, nan

from safemlrm.metrics.paired import Difference
from safemlrm.metrics.rates import wilson


def newcombe(k: int, n: int, other_k: int, other_n: int, confidence: float = 0.95) -> Difference:
    """Return k/n minus other_k/other_n with its interval (Newcombe 1998, Statistics in Medicine 17, 873).

    It joins the two score intervals, and is wider than a paired one where outcomes go together. n of the
    result is the smaller number; nan between -1 and 1 where one side has none. Raises ValueError unless
    counts fit.
    """
    ours, theirs = wilson(k, n, confidence), wilson(other_k, other_n, confidence)
    if not n or not other_n:
        return Difference(nan, -1.0, 1.0, 0)
    value = ours.value - theirs.value
    return Difference(
        value,
        value - hypot(ours.value - ours.low, theirs.high - theirs.value),
        value + hypot(ours.high - ours.value, theirs.value - theirs.low),
        min(n, other_n),
    )
