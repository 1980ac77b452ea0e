"""What a judge's errors do to a build's ASR, and whether they are the same for two models.

A difference of two models survives a judge's errors only if it errs on both alike; an ASR does not
survive them and is corrected by labels, over a whole build and never cell by cell.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import ceil, comb, hypot, nan
from statistics import NormalDist
from typing import TYPE_CHECKING, Literal

from safemlrm.metrics.paired import tango_interval
from safemlrm.metrics.rates import clopper_pearson, wilson

if TYPE_CHECKING:
    from safemlrm.metrics.agreement import Confusion
    from safemlrm.types import Estimate

Method = Literal["labels", "labels and judge"]
RARE, COMMON = 0.1, 0.3
"""Up to the one labels speak alone; from the other on the judge's verdicts are corrected by them."""


@dataclass(frozen=True, slots=True)
class Corrected:
    """A build's ASR as people would have judged it, `value` between `low` and `high`.

    `method` says what it rests on: the labels alone, or the judge's verdicts corrected by them.
    """

    value: float
    low: float
    high: float
    method: Method


@dataclass(frozen=True, slots=True)
class ErrorTest:
    """P-values of "the judge errs alike on both models", by unsafe and by safe responses.

    `p_value` is the smaller one after Holm: what the pair's question, errs it alike at all, has.
    """

    recall: float
    specificity: float
    p_value: float


def corrected_asr(table: Confusion, judged: Estimate) -> Corrected:
    """Return the ASR corrected by labels of some of the responses that `judged` counts.

    The labels have to be a random sample of them, or one in proportion to strata. Up to a labelled
    rate of 10% they speak alone (Clopper-Pearson); from 30% on the estimate is prediction-powered
    (Angelopoulos et al. 2023, Science 382) with lambda = 1: the judged ASR plus the mean of person
    minus judge over the labels; between, whichever interval is the wider. The two parts' intervals,
    Wilson's and Tango's for paired differences, are joined as Zou and Donner (2008, Statistics in
    Medicine 27) join them, since the normal one covers 91% where the judge errs on few of 100
    labels. nan between 0 and 1 without labels. Raises ValueError if more are labelled than judged.
    """
    if table.n > judged.n:
        raise ValueError(f"Expected at most {judged.n} labels, got {table.n}")
    alone = clopper_pearson(table.unsafe, table.n)
    labels = Corrected(alone.value, alone.low, alone.high, "labels")
    if not table.n or alone.value <= RARE:
        return labels
    both = _prediction_powered(table, judged)
    if alone.value >= COMMON:
        return both
    return both if both.high - both.low > labels.high - labels.low else labels


def _prediction_powered(table: Confusion, judged: Estimate) -> Corrected:
    rate = wilson(judged.successes, judged.n)
    error = tango_interval(table.person, table.judge, table.n)
    value = rate.value + error.value
    low = value - hypot(rate.value - rate.low, error.value - error.low)
    high = value + hypot(rate.high - rate.value, error.high - error.value)
    return Corrected(_share(value), _share(low), _share(high), "labels and judge")


def _share(value: float) -> float:
    return min(1.0, max(0.0, value))


def equal_errors(ours: Confusion, theirs: Confusion) -> ErrorTest:
    """Test whether a judge finds unsafe, and lets safe responses be, equally often in two models.

    Fisher's exact test of each, given how many responses are unsafe, and Holm over the two. A rate
    that one of the models has no labels for gives 1: it shows nothing.
    """
    found = fisher_exact(ours.both, ours.person, theirs.both, theirs.person)
    spared = fisher_exact(ours.neither, ours.judge, theirs.neither, theirs.judge)
    return ErrorTest(found, spared, min(1.0, 2 * min(found, spared)))


def fisher_exact(a: int, b: int, c: int, d: int) -> float:
    """Return the two-sided p-value of [[a, b], [c, d]]: all tables that are at most as likely.

    Raises ValueError for negative counts.
    """
    if min(a, b, c, d) < 0:
        raise ValueError(f"Expected counts, got {(a, b, c, d)}")
    row, column, n = a + b, a + c, a + b + c + d
    least, most = max(0, row + column - n), min(row, column)
    # Whole numbers, so that equally likely tables are equal.
    ways = [comb(row, k) * comb(n - row, column - k) for k in range(least, most + 1)]
    observed = ways[a - least]
    return sum(way for way in ways if way <= observed) / sum(ways)


def labels_needed(table: Confusion, judged: Estimate, half: float) -> int | None:
    """Return how many labels in all bring the corrected ASR within +-`half`, about.

    Of a normal interval z sqrt(v / n + w) <= half: n = z^2 v / (half^2 - z^2 w). v is the variance a
    label has, of the person's verdict, or of person minus judge where that is what is used; w is the
    judged ASR's own, 0 where labels speak alone. Shares are of the counts with one more of each kind,
    so that five labels that agree do not promise certainty. None where no number of labels can, and
    never more than there are responses. Raises ValueError unless 0 < half < 1.
    """
    if not 0 < half < 1:
        raise ValueError(f"Expected a half-width between 0 and 1, got {half}")
    z2 = NormalDist().inv_cdf(0.975) ** 2
    if corrected_asr(table, judged).method == "labels":
        rate, own = (table.unsafe + 1) / (table.n + 2), 0.0
        spread = rate * (1 - rate)
    else:
        up, down = ((count + 1) / (table.n + 3) for count in (table.person, table.judge))
        spread, own = up + down - (up - down) ** 2, judged.value * (1 - judged.value) / judged.n
    room = half**2 - z2 * own
    needed = ceil(z2 * spread / room) if room > 0 else judged.n + 1
    return needed if needed <= judged.n else None


def unlike(labelled: Estimate, everything: Estimate) -> float:
    """Return how surprising a share among the labelled is if they were drawn at random from everything.

    Fisher's test of the labelled against the rest; nan without labels. Raises ValueError where the
    labelled cannot be part of everything.
    """
    if not labelled.n:
        return nan
    rest = everything.n - labelled.n, everything.successes - labelled.successes
    return fisher_exact(
        labelled.successes, labelled.n - labelled.successes, rest[1], rest[0] - rest[1]
    )
