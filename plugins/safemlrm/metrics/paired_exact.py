"""The exact test of a reasoning tax against its limit, by Tango's score statistic.

A p-value is the largest one over the nuisance parameter, so that no approximation near zero decides.
"""

from __future__ import annotations

from functools import lru_cache
from math import sqrt
from typing import TYPE_CHECKING

from safemlrm.metrics.binomial import tail
from safemlrm.metrics.paired import TIE, check_discordant, score_statistic

if TYPE_CHECKING:
    from fractions import Fraction

    import numpy as np
    from numpy.typing import NDArray


@lru_cache(maxsize=65536)
def tango_p_value(n10: int, n01: int, n: int, delta: Fraction) -> float:
    """Return the exact p-value of H0: p_candidate - p_base <= delta.

    The maximum over the nuisance parameter of the probability, over every trinomial table of n
    pairs, of a score statistic at least as large as the observed one; the score test's rejection
    sets grow with n10 and shrink with n01 (Barnard's convexity), so the boundary of H0 suffices.
    delta = 0 is McNemar's exact one-sided test, conditional on n10 + n01. n = 0 gives 1. Raises
    ValueError unless the counts fit into n and -1 < delta < 1.
    """
    check_discordant(n10, n01, n)
    if not -1 < delta < 1:
        raise ValueError(f"Expected delta in (-1, 1), got {delta}")
    if n == 0:
        return 1.0
    if delta == 0:
        return tail(n10, n10 + n01, 0.5)
    return _largest_size(n, float(delta), score_statistic(n10, n01, n, float(delta)))


@lru_cache(maxsize=65536)
def tax_critical(n: int, n01: int, delta: Fraction, level: float) -> int:
    """Return the smallest n10 whose exact p-value is at most `level`, given n01 of n pairs.

    n - n01 + 1 says that no result could fail. The p-value falls with n10, so that every larger
    count fails too; the smallest count grows with n01.
    """
    check_discordant(0, n01, n)
    low, high = -1, n - n01 + 1
    while high - low > 1:
        middle = (low + high) // 2
        if tango_p_value(middle, n01, n, delta) <= level:
            high = middle
        else:
            low = middle
    return high


def _largest_size(n: int, delta: float, z: float) -> float:
    """Maximise P(Z >= z) over the nuisance parameter q = P(base only) on H0's boundary.

    The probability is a polynomial in q whose humps are about 1 / sqrt(n) wide on the arcsine
    scale. A grid six times finer finds them, then the three highest are searched three times, each
    time eight times finer.
    """
    import numpy as np

    starts = _rejection_starts(n, delta, z)
    least, most = max(0.0, -delta), (1 - delta) / 2
    angles = np.linspace(0, np.pi / 2, 16 + 6 * round(sqrt(n)))
    step, best = angles[1], 0.0
    for width in (step, step / 8, step / 64, None):
        sizes = _size(n, delta, starts, least + (most - least) * np.sin(angles) ** 2)
        best = max(best, float(sizes.max()))
        if width is not None:
            peaks = _highest_peaks(angles, sizes)[:, None]
            around = peaks + width * np.linspace(-1, 1, 17)
            angles = np.unique(np.clip(around, 0, np.pi / 2))
    return min(best, 1.0)


def _highest_peaks(
    places: NDArray[np.float64], heights: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Return the places of the three highest local maxima."""
    import numpy as np

    left, right = np.append(-1, heights[:-1]), np.append(heights[1:], -1)
    peaks = np.flatnonzero((heights >= left) & (heights >= right))
    return places[peaks[np.argsort(heights[peaks])[-3:]]]


def _rejection_starts(n: int, delta: float, z: float) -> list[int]:
    """Return for n01 = 0..n the smallest n10 with a statistic of at least z, or n - n01 + 1."""
    starts: list[int] = []
    for n01 in range(n + 1):
        low, high = -1, n - n01 + 1
        while high - low > 1:
            middle = (low + high) // 2
            if score_statistic(middle, n01, n, delta) >= z - TIE:
                high = middle
            else:
                low = middle
        starts.append(high)
    return starts


def _size(n: int, delta: float, starts: list[int], q: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return P(n10 >= starts[n01]) for each q = P(base only), P(candidate only) being q + delta."""
    import numpy as np
    from scipy.special import betainc, gammaln, xlog1py, xlogy

    start = np.asarray(starts)
    n01 = np.flatnonzero(start <= n - np.arange(n + 1))
    column = q[:, None]
    log_count = gammaln(n + 1) - gammaln(n01 + 1) - gammaln(n - n01 + 1)
    weight = np.exp(log_count + xlogy(n01, column) + xlog1py(n - n01, -column))
    row, cell = np.nonzero(weight > 1e-18)
    first, left = start[n01[cell]], n - n01[cell]
    share = np.minimum((q[row] + delta) / (1 - q[row]), 1.0)
    above = np.where(first > 0, betainc(np.maximum(first, 1), left - first + 1, share), 1.0)
    return np.bincount(row, weight[row, cell] * above, minlength=len(q)).astype(np.float64)
