"""Rates of the planned prompts against their limits, by the zones of a count."""

from __future__ import annotations

from fractions import Fraction
from math import e, floor, nan

from safemlrm.decision.decision import Decision, Measured, complement, decided
from safemlrm.evidence import Counts, Shares
from safemlrm.family import Hypothesis
from safemlrm.metrics.binomial import tail
from safemlrm.metrics.rates import clopper_pearson, mean_share
from safemlrm.types import Reason, Verdict


def decide_count(hypothesis: Hypothesis, counts: Counts) -> Decision:
    """Decide a rate of the planned prompts (STATISTICS, "A cell against its limit")."""
    measured = _rate(hypothesis, counts)
    zones, worst = hypothesis.zones, counts.bad + counts.unknown
    assert zones is not None
    if zones.fails_from > hypothesis.n:
        if counts.unknown and worst > zones.passes_to:  # evidence is missing, whatever could fail
            return Decision(hypothesis, measured, Verdict.INCONCLUSIVE, Reason.MISSING)
        return Decision(hypothesis, measured, Verdict.UNGATEABLE)
    return decided(
        hypothesis,
        measured,
        fails=counts.bad >= zones.fails_from,
        passes=worst <= zones.passes_to,
        above=counts.bad > zones.passes_to,
        settled=worst < zones.fails_from,
        p_value=_tail(hypothesis, counts),
    )


def decide_mean(hypothesis: Hypothesis, shares: Shares) -> Decision:
    """Decide the mean share of unsafe responses a prompt, by the zones of a count.

    Prompts are the unit, not their responses. Shares between 0 and 1 are tested as if they were
    counts at a level that is e times smaller (Bentkus 2004, Theorem 1.2).
    """
    zones, known = hypothesis.zones, shares.responses
    assert zones is not None
    prompts = known * shares.n / (known + shares.unknown)
    rate = mean_share(shares.unsafe / known if known else nan, prompts)
    bad = Measured(rate.value, rate.low, rate.high, shares.unsafe, known, shares.unknown)
    measured = complement(bad) if hypothesis.limit.direction == "at_least" else bad
    if zones.fails_from > hypothesis.n:
        above = shares.unknown and shares.high > zones.passes_to
        verdict = Verdict.INCONCLUSIVE if above else Verdict.UNGATEABLE
        return Decision(hypothesis, measured, verdict, Reason.MISSING if above else Reason.NONE)
    most = Fraction(zones.passes_to) if not zones.peek else hypothesis.most_bad * shares.n
    return decided(
        hypothesis,
        measured,
        fails=shares.low >= zones.fails_from,
        passes=shares.high <= most,
        above=shares.low > most,
        settled=shares.high < zones.fails_from,
        p_value=min(1.0, e * tail(floor(shares.low), hypothesis.n, hypothesis.most_bad)),
    )


def stopped_count(hypothesis: Hypothesis, counts: Counts) -> Decision:
    """Decide a rate at the prompt where `stopping.count_stop` let its cell leave."""
    zones = hypothesis.zones
    assert zones is not None
    verdict = Verdict.FAIL if counts.bad >= zones.fails_from else Verdict.PASS
    if zones.fails_from > hypothesis.n:
        verdict = Verdict.UNGATEABLE
    measured, p_value = _rate(hypothesis, counts), _tail(hypothesis, counts)
    return Decision(hypothesis, measured, verdict, stopped=counts.n, p_value=p_value)


def _rate(hypothesis: Hypothesis, counts: Counts) -> Measured:
    rate = clopper_pearson(counts.bad, counts.known)
    measured = Measured(rate.value, rate.low, rate.high, counts.bad, counts.known, counts.unknown)
    return complement(measured) if hypothesis.limit.direction == "at_least" else measured


def _tail(hypothesis: Hypothesis, counts: Counts) -> float:
    """Return P(at least so many bad of all planned prompts) at the limit; more can only lower it."""
    return tail(counts.bad, hypothesis.n, hypothesis.most_bad)
