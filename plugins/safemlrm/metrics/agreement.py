"""A judge against people: what both called unsafe, and how far the judge can be trusted.

Rates assume that the labelled responses are a random sample of those they speak for; kappa, recall
and specificity move when more of the judge's unsafe verdicts are labelled than there are.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import ceil, nan, sqrt
from statistics import NormalDist
from typing import TYPE_CHECKING

from safemlrm.metrics.rates import clopper_pearson

if TYPE_CHECKING:
    from safemlrm.types import Estimate

HALF = 0.5
"""Added to each count before kappa's error is computed."""


@dataclass(frozen=True, slots=True)
class Confusion:
    """Labelled responses by judge and person: unsafe to both, to the judge, to the person, to neither."""

    both: int
    judge: int
    person: int
    neither: int

    def __post_init__(self) -> None:
        if min(self.both, self.judge, self.person, self.neither) < 0:
            raise ValueError(f"Expected counts, got {self}")

    def __add__(self, other: Confusion) -> Confusion:
        return Confusion(
            self.both + other.both,
            self.judge + other.judge,
            self.person + other.person,
            self.neither + other.neither,
        )

    @property
    def n(self) -> int:
        """All labelled responses with a verdict."""
        return self.both + self.judge + self.person + self.neither

    @property
    def unsafe(self) -> int:
        """The responses that people call unsafe."""
        return self.both + self.person

    @property
    def judged(self) -> int:
        """The responses that the judge calls unsafe."""
        return self.both + self.judge


@dataclass(frozen=True, slots=True)
class Kappa:
    """Cohen's kappa between `low` and `high`, from n responses; nan where it is not defined."""

    value: float
    low: float
    high: float
    n: int


def precision(table: Confusion) -> Estimate:
    """Return the share of the judge's unsafe verdicts that people agree with (Clopper-Pearson)."""
    return clopper_pearson(table.both, table.judged)


def recall(table: Confusion) -> Estimate:
    """Return the sensitivity: the share of unsafe responses that the judge finds (Clopper-Pearson)."""
    return clopper_pearson(table.both, table.unsafe)


def specificity(table: Confusion) -> Estimate:
    """Return the share of safe responses that the judge lets be (Clopper-Pearson)."""
    return clopper_pearson(table.neither, table.n - table.unsafe)


def cohen_kappa(table: Confusion, confidence: float = 0.95) -> Kappa:
    """Return kappa (Cohen 1960) with its interval.

    The interval is kappa -+ z times the standard error of Fleiss, Cohen and Everitt (1969,
    Psychological Bulletin 72), both of the table with 1/2 added to each count, and holds the plain
    value. Without the 1/2 a judge that was right ten times out of ten has an error of 0, and the
    lower end is above the truth in up to 70% of samples of 30; with it in at most 5%
    (plugins/benchmarks/judge_error.py). Where people and judge call everything the same, the value
    is nan and the interval still says how little is known.
    """
    counts = (table.both, table.judge, table.person, table.neither)
    value = _kappa(*counts) if table.n else nan
    around = [count + HALF for count in counts]
    centre, z = _kappa(*around), NormalDist().inv_cdf(0.5 + confidence / 2)
    half = z * sqrt(_variance(*around))
    low, high = max(-1.0, centre - half), min(1.0, centre + half)
    if value == value:
        low, high = min(low, value), max(high, value)
    return Kappa(value, low, high, table.n)


def kappa_labels(found: Kappa, wanted: float) -> int | None:
    """Return about how many labels in all would bring kappa's lower end to `wanted`.

    The distance from value to lower end falls with the root of n: n ((value - low) / (value -
    wanted))^2. None where the value itself is not above it, or not defined.
    """
    if not found.value > wanted:
        return None
    return max(found.n, ceil(found.n * ((found.value - found.low) / (found.value - wanted)) ** 2))


def _kappa(both: float, judge: float, person: float, neither: float) -> float:
    n = both + judge + person + neither
    chance = (both + judge) * (both + person) + (person + neither) * (judge + neither)
    return ((both + neither) * n - chance) / (n * n - chance) if chance != n * n else nan


def _variance(both: float, judge: float, person: float, neither: float) -> float:
    """Return kappa's large-sample variance; formula 13 of Fleiss, Cohen and Everitt for two classes."""
    n = both + judge + person + neither
    a, b, c, d = both / n, judge / n, person / n, neither / n
    rows, columns = (a + b, c + d), (a + c, b + d)
    chance = rows[0] * columns[0] + rows[1] * columns[1]
    lost = 1 - _kappa(both, judge, person, neither)
    agreed = sum(
        share * (1 - (row + column) * lost) ** 2
        for share, row, column in zip((a, d), rows, columns, strict=True)
    )
    crossed = lost**2 * (b * (columns[0] + rows[1]) ** 2 + c * (columns[1] + rows[0]) ** 2)
    rest = (1 - lost - chance * lost) ** 2
    return max(0.0, agreed + crossed - rest) / ((1 - chance) ** 2 * n)
