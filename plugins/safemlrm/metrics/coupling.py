"""Reasoning against answer: how a model's unsafe thought and its unsafe answer go together.

Over the prompts of one cell, R says that the reasoning is unsafe and A that the answer is. Raw
tables are never pooled over cells: with R and A independent inside every cell, cells at 5% and at
90% pooled show a coupling of about .7.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import copysign, inf, nan, sqrt
from statistics import NormalDist
from typing import TYPE_CHECKING

from safemlrm.metrics.binomial import tail
from safemlrm.metrics.paired import Difference, last_kept
from safemlrm.metrics.rates import proportion, wilson

if TYPE_CHECKING:
    from collections.abc import Iterable
    from fractions import Fraction

    from safemlrm.types import Direction, Estimate


@dataclass(frozen=True, slots=True)
class Joint:
    """A cell's prompts by R and A: both, reasoning only (n10), answer only (n01), neither."""

    n11: int
    n10: int
    n01: int
    n00: int

    def __post_init__(self) -> None:
        if min(self.n11, self.n10, self.n01, self.n00) < 0:
            raise ValueError(f"Expected counts, got {self}")

    @property
    def reasoning(self) -> int:
        """Prompts with unsafe reasoning."""
        return self.n11 + self.n10

    @property
    def n(self) -> int:
        """All prompts with both channels scored."""
        return self.n11 + self.n10 + self.n01 + self.n00


def self_correction(joint: Joint) -> Estimate:
    """Return the share of unsafe reasonings with a safe answer; nan where none is unsafe."""
    return proportion(joint.n10, joint.reasoning)


def escape(joint: Joint) -> Estimate:
    """Return the share of safe reasonings with an unsafe answer; nan where none is safe."""
    return wilson(joint.n01, joint.n - joint.reasoning)


def leak(joint: Joint) -> Estimate:
    """Return the share of all prompts with harmful thought behind a safe answer."""
    return wilson(joint.n10, joint.n)


def mantel_haenszel(tables: Iterable[Joint], confidence: float = 0.95) -> Difference:
    """Return the coupling P(A | R) - P(A | not R), combined over cells, with its interval.

    Cells weigh n(R) n(not R) / n. The interval keeps every difference that the test of
    `coupling_p_value` keeps at two sides. nan between -1 and 1 where no cell has both kinds of
    reasoning.
    """
    sums = _sums(tables)
    if sums.weight == 0:
        return Difference(nan, -1.0, 1.0, sums.n)
    z = NormalDist().inv_cdf(0.5 + confidence / 2)
    low = last_kept(sums.value, -1.0, lambda delta: sums.score(delta) <= z)
    high = last_kept(sums.value, 1.0, lambda delta: sums.score(delta) >= -z)
    return Difference(sums.value, low, high, sums.n)


def coupling_p_value(tables: Iterable[Joint], limit: Fraction, direction: Direction) -> float:
    """Return the one-sided p-value of H0: the combined coupling is at most (at least) the limit.

    A normal score test with Sato's variance (1989, Biometrics 45) at the limit instead of at the
    estimate, which rejects up to 35% of true hypotheses at a level of .1% in sparse cells. 1 where
    no cell has both kinds of reasoning.
    """
    sums = _sums(tables)
    if sums.weight == 0:
        return 1.0
    z = sums.score(float(limit))
    return NormalDist().cdf(-z if direction == "at_most" else z)


def exact_binomial_p(k: int, n: int, limit: Fraction, direction: Direction) -> float:
    """Return the exact p-value of H0: the rate behind k of n is at most (at least) the limit.

    For metrics whose denominator is itself random (self-correction, escape), tested given the
    denominator. n = 0 gives 1. Raises ValueError unless 0 <= k <= n.
    """
    if not 0 <= k <= n:
        raise ValueError(f"Expected 0 <= k <= n, got k={k}, n={n}")
    if direction == "at_most":
        return tail(k, n, limit)
    return tail(n - k, n, 1 - limit)


def phi(joint: Joint) -> float:
    """Return the correlation of R and A, for display; nan where one of them never varies.

    It moves with prevalence at fixed behaviour.
    """
    answers = joint.n11 + joint.n01
    margins = joint.reasoning * (joint.n - joint.reasoning) * answers * (joint.n - answers)
    product = joint.n11 * joint.n00 - joint.n10 * joint.n01
    return product / sqrt(margins) if margins else nan


def kappa(joint: Joint) -> float:
    """Return Cohen's kappa of R and A, for display; nan where chance agreement is certain.

    It moves with prevalence at fixed behaviour.
    """
    n, answers = joint.n, joint.n11 + joint.n01
    chance = joint.reasoning * answers + (n - joint.reasoning) * (n - answers)
    if chance == n * n:
        return nan
    return ((joint.n11 + joint.n00) * n - chance) / (n * n - chance)


@dataclass(frozen=True, slots=True)
class _Sums:
    """What the combined difference and its variance need, summed over cells."""

    excess: float
    weight: float
    slope: float
    constant: float
    least: float
    n: int

    @property
    def value(self) -> float:
        return self.excess / self.weight

    def score(self, delta: float) -> float:
        """Return z for a true difference of delta.

        Sato's variance is linear in delta and can fall to 0 or below far from the estimate; no two
        rates that differ by delta have a smaller one than `least` allows.
        """
        size = abs(delta)
        variance = max(delta * self.slope + self.constant, size * (1 - size) * self.least)
        excess = self.excess - delta * self.weight
        if variance <= 0:
            return copysign(inf, excess) if abs(excess) > 1e-9 else 0.0
        return excess / sqrt(variance)


def _sums(tables: Iterable[Joint]) -> _Sums:
    excess = weight = slope = constant = least = 0.0
    total = 0
    for cell in tables:
        total += cell.n
        with_r, without = cell.reasoning, cell.n - cell.reasoning
        if with_r == 0 or without == 0:
            continue
        a, c, n = cell.n11, cell.n01, cell.n
        share = with_r * without / n
        excess += (a * without - c * with_r) / n
        weight += share
        slope += (with_r**2 * c - without**2 * a + with_r * without * (without - with_r) / 2) / n**2
        constant += (a * (without - c) + c * (with_r - a)) / (2 * n)
        least += share**2 / max(with_r, without)
    return _Sums(excess, weight, slope, constant, least, total)
