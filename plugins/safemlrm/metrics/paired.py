"""The reasoning tax: candidate minus base, paired by prompt.

Of n pairs, n10 are unsafe for the candidate only and n01 for the base only, so the tax is
(n10 - n01) / n. Concordant pairs carry no information about it beyond n.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from math import copysign, hypot, inf, isnan, nan, sqrt
from statistics import NormalDist
from typing import TYPE_CHECKING

from safemlrm.metrics.binomial import tail
from safemlrm.metrics.rates import clopper_pearson, wilson

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from fractions import Fraction

    import numpy as np
    from numpy.typing import NDArray

TIE = 1e-9
"""Statistics closer than this are equal: rounding must not drop the observed table."""


@dataclass(frozen=True, slots=True)
class Difference:
    """A difference of two rates, `value` between `low` and `high`, from n prompts."""

    value: float
    low: float
    high: float
    n: int


@dataclass(frozen=True, slots=True)
class Ratio:
    """A ratio of two rates; `lower_bound_only` says that no finite upper end is supported."""

    value: float
    low: float
    high: float
    lower_bound_only: bool


@dataclass(frozen=True, slots=True)
class Discordant:
    """How often only the candidate (n10) and only the base (n01) was unsafe in n pairs."""

    n10: int
    n01: int
    n: int


def tango_statistic(n10: int, n01: int, n: int, delta: float | Fraction) -> float:
    """Return the score statistic z against H0: p_candidate - p_base <= delta.

    z = (n10 - n01 - n delta) / sqrt(n (2 q + delta (1 - delta))), q the maximum-likelihood estimate
    of P(base only) where p_candidate - p_base is delta (Tango 1998, Statistics in Medicine 17);
    0 / 0 is 0. Raises ValueError unless the counts fit into n >= 1 and -1 <= delta <= 1.
    """
    _check(n10, n01, n)
    if n == 0 or not -1 <= delta <= 1:
        raise ValueError(f"Expected n >= 1 and delta in [-1, 1], got n={n}, delta={delta}")
    return _score(n10, n01, n, float(delta))


def _score(n10: int, n01: int, n: int, delta: float) -> float:
    if delta < 0:  # the mirror image, whose quadratic has one root that is a probability
        return -_score(n01, n10, n, -delta)
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
    _check(n10, n01, n)
    if n == 0:
        return Difference(nan, -1.0, 1.0, 0)
    z = NormalDist().inv_cdf(0.5 + confidence / 2)
    value = (n10 - n01) / n
    low = last_kept(value, -1.0, lambda delta: _score(n10, n01, n, delta) <= z)
    high = last_kept(value, 1.0, lambda delta: _score(n10, n01, n, delta) >= -z)
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


@lru_cache(maxsize=65536)
def tango_p_value(n10: int, n01: int, n: int, delta: Fraction) -> float:
    """Return the exact p-value of H0: p_candidate - p_base <= delta.

    The maximum over the nuisance parameter of the probability, over every trinomial table of n
    pairs, of a score statistic at least as large as the observed one; the score test's rejection
    sets grow with n10 and shrink with n01 (Barnard's convexity), so the boundary of H0 suffices.
    delta = 0 is McNemar's exact one-sided test, conditional on n10 + n01. n = 0 gives 1. Raises
    ValueError unless the counts fit into n and -1 < delta < 1.
    """
    _check(n10, n01, n)
    if not -1 < delta < 1:
        raise ValueError(f"Expected delta in (-1, 1), got {delta}")
    if n == 0:
        return 1.0
    if delta == 0:
        return tail(n10, n10 + n01, 0.5)
    return _largest_size(n, float(delta), _score(n10, n01, n, float(delta)))


@lru_cache(maxsize=65536)
def tax_critical(n: int, n01: int, delta: Fraction, level: float) -> int:
    """Return the smallest n10 whose exact p-value is at most `level`, given n01 of n pairs.

    n - n01 + 1 says that no result could fail. The p-value falls with n10, so that every larger
    count fails too; the smallest count grows with n01.
    """
    _check(0, n01, n)
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
            if _score(middle, n01, n, delta) >= z - TIE:
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


def degradation_ratio(
    k_cand: int, n_cand: int, k_base: int, n_base: int, seed: int, confidence: float = 0.95
) -> Ratio:
    """Return ASR(candidate) / ASR(base) with a percentile interval of the parametric bootstrap.

    Both counts are drawn again from binomials with the observed rates, 20,000 times; 198 and 8 of
    1,256 give 14 to 66 (the log-ratio 12 to 50). A count of 0 or n would never vary, so there the
    ends are quotients of Clopper-Pearson bounds instead, half of the error allowed to each. The
    interval is a lower bound only when its upper end is infinite, as with 0 base failures. 0 / 0 is
    nan. Raises ValueError unless the counts fit.
    """
    scaled_cand, scaled_base = k_cand * n_base, k_base * n_cand
    value = scaled_cand / scaled_base if scaled_base else (inf if scaled_cand else nan)
    narrow = (1 + confidence) / 2
    cand, base = clopper_pearson(k_cand, n_cand, narrow), clopper_pearson(k_base, n_base, narrow)
    if k_cand in (0, n_cand) or k_base in (0, n_base):
        low = cand.low / base.high
        high = cand.high / base.low if base.low else inf
    else:
        low, high = _bootstrap(k_cand, n_cand, k_base, n_base, seed, confidence)
    return Ratio(value, low, high, high == inf)


def _bootstrap(
    k_cand: int, n_cand: int, k_base: int, n_base: int, seed: int, confidence: float
) -> tuple[float, float]:
    """Return the lower and the upper percentile of the resampled ratio; 0 / 0 is left out."""
    import numpy as np

    random = np.random.default_rng(seed)
    cand = random.binomial(n_cand, k_cand / n_cand, 20_000) / n_cand
    base = random.binomial(n_base, k_base / n_base, 20_000) / n_base
    ratio = np.full_like(cand, inf)
    np.divide(cand, base, out=ratio, where=base > 0)
    ratio = ratio[(cand > 0) | (base > 0)]
    ends = [(1 - confidence) / 2, (1 + confidence) / 2]
    low, high = np.quantile(ratio, ends, method="inverted_cdf")
    return float(low), float(high)


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


def _check(n10: int, n01: int, n: int) -> None:
    if min(n10, n01) < 0 or n10 + n01 > n:
        raise ValueError(f"Expected discordant counts within n, got {n10}, {n01} of {n}")
