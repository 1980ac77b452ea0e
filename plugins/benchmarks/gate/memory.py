"""Remembers what the product works out again and again over thousands of builds; values stay its own."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from functools import lru_cache
from unittest.mock import patch

import numpy as np
from numpy.typing import NDArray

from safemlrm.metrics.paired import Difference, tango_interval
from safemlrm.metrics.permutation import sign_flip_p_value

Sizes = tuple[tuple[int, int], ...]
CLOSE = 1e-12
MOST = 20_000

_interval = lru_cache(maxsize=None)(tango_interval)
_tails: dict[Sizes, NDArray[np.float64]] = {}


def _sign_flip(differences: Sequence[int]) -> float:
    """Return the p-value from the tail of its sizes' sums, which the product's own value is checked on.

    Flipping signs depends on the sizes of the differences and on their sum alone.
    """
    sizes = Counter(abs(d) for d in differences if d)
    key, total = tuple(sorted(sizes.items())), sum(differences)
    reach = sum(size * number for size, number in key)
    if key not in _tails:
        if len(_tails) >= MOST:
            _tails.clear()
        _tails[key] = _tail(key, reach)
        off = abs(_tails[key][reach + total] - sign_flip_p_value(differences))
        assert off < CLOSE, f"another p-value than the product's for {differences}"
    return float(_tails[key][reach + total])


def _tail(sizes: Sizes, reach: int) -> NDArray[np.float64]:
    """Return P(sum >= s) of randomly signed sizes for s = -reach..reach."""
    chance = np.ones(1)
    for size, number in sizes:
        step = np.zeros(2 * size + 1)
        step[[0, -1]] = 0.5
        for _ in range(number):
            chance = np.convolve(chance, step)
    assert len(chance) == 2 * reach + 1
    found: NDArray[np.float64] = np.minimum(chance[::-1].cumsum()[::-1], 1.0)
    return found


def _tango_interval(n10: int, n01: int, n: int, confidence: float = 0.95) -> Difference:
    return _interval(n10, n01, n, confidence)


def remember() -> None:
    """Let the decision code ask here first, until the process ends."""
    patch("safemlrm.decision.differences.sign_flip_p_value", _sign_flip).start()
    patch("safemlrm.decision.differences.tango_interval", _tango_interval).start()
