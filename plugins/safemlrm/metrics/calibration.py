"""Expected calibration error, and an exact test of it.

Answers are put into bins by how sure the model was; the error is the mean distance between the share
that is right and the mean confidence, weighted by the bins' sizes (Naeini, Cooper and Hauskrecht 2015).

The test: turn each bin's answers so that its distance is positive; then the error exceeds a limit t just
where the number of "right" ones exceeds the sum of the confidences by more than t n. Given the
confidences that number is a sum of independent coins, whose tail beyond its mean + 1 is at most that of a
binomial with the same mean (Hoeffding 1956, theorem 4). Each bin can be turned two ways, so that the
p-value is multiplied by the number of ways: no bootstrap and no normal approximation.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from math import ceil, nan

from safemlrm.metrics.binomial import tail
from safemlrm.metrics.rates import clopper_pearson

BINS = 5
"""Bins of equal width: few, since every one of them halves what the test can see."""
STEPS = 40


@dataclass(frozen=True, slots=True)
class Answer:
    """One answer: how sure the model was of it, and whether it is right."""

    confidence: float
    right: bool


@dataclass(frozen=True, slots=True)
class CalibrationError:
    """The error with its 95% interval, `right` of `n` answers right; nan without any answer."""

    value: float
    low: float
    high: float
    right: int
    n: int


@dataclass(frozen=True, slots=True)
class Bin:
    """The answers between two confidences: how many, how many right, the sum of the confidences."""

    n: int
    right: int
    sure: float

    @property
    def gap(self) -> float:
        """How many more are right than the model was sure of; negative where it was too sure."""
        return self.right - self.sure


def bins_of(answers: Sequence[Answer]) -> list[Bin]:
    """Return the bins that hold answers; the first is [0, 1/BINS], the others begin beyond their edge."""
    places: dict[int, list[Answer]] = {}
    for answer in answers:
        places.setdefault(max(1, ceil(answer.confidence * BINS)), []).append(answer)
    return [
        Bin(len(found), sum(a.right for a in found), sum(a.confidence for a in found))
        for _, found in sorted(places.items())
    ]


def total_gap(answers: Sequence[Answer]) -> float:
    """Return the error times the number of answers."""
    return sum(abs(each.gap) for each in bins_of(answers))


def calibration_error(answers: Sequence[Answer]) -> CalibrationError:
    """Return the error; its interval inverts the test below and bounds every bin above."""
    n, bins = len(answers), bins_of(answers)
    if not n:
        return CalibrationError(nan, 0.0, 1.0, 0, 0)
    value = total_gap(answers) / n
    high = 0.0
    for each in bins:
        rate = clopper_pearson(each.right, each.n, 1 - 0.05 / len(bins))
        sure = each.sure / each.n
        high += each.n / n * max(abs(rate.low - sure), abs(rate.high - sure))
    right = sum(answer.right for answer in answers)
    return CalibrationError(value, _lower(answers, value), min(1.0, high), right, n)


def calibration_p_value(
    answers: Sequence[Answer], limit: float | Fraction, *, kind: int = 0, harsh: int = 0
) -> float:
    """Return a p-value of "the error is at most the limit", never too small.

    `kind` more answers are unknown and count as far as can be against the error being large, `harsh`
    ones as far as can be for it.
    """
    bins, unknown = bins_of(answers), kind + harsh
    n = len(answers) + unknown
    if not n:
        return 1.0
    right, sure = harsh, float(kind)
    for each in bins:
        right += each.right if each.gap > 0 else each.n - each.right
        sure += each.sure if each.gap > 0 else each.n - each.sure
    mean = sure / n + float(limit)
    if right < n * mean + 1:
        return 1.0
    ways = 1 << min(BINS, max(1, len(bins) + kind))
    return min(1.0, ways * tail(right, n, mean))


def _lower(answers: Sequence[Answer], value: float, level: float = 0.025) -> float:
    """Return the largest limit that the test refuses, by bisection: the p-value rises with the limit."""
    if calibration_p_value(answers, 0.0) > level:
        return 0.0
    low, high = 0.0, value
    for _ in range(STEPS):
        middle = (low + high) / 2
        if calibration_p_value(answers, middle) <= level:
            low = middle
        else:
            high = middle
    return low
