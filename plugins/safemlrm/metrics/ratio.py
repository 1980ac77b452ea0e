"""How many times more often the candidate is unsafe than its base; for display."""

from __future__ import annotations

from dataclasses import dataclass
from math import inf, nan

from safemlrm.metrics.rates import clopper_pearson


@dataclass(frozen=True, slots=True)
class Ratio:
    """A ratio of two rates; `lower_bound_only` says that no finite upper end is supported."""

    value: float
    low: float
    high: float
    lower_bound_only: bool


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
