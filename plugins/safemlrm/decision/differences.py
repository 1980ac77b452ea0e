"""Differences to another model's outcomes of the same prompts: the base's or an earlier run's."""

from __future__ import annotations

from fractions import Fraction

from safemlrm.clusters import Rise
from safemlrm.decision.decision import Decision, Measured, decided
from safemlrm.decision.ungateable import cannot_fail
from safemlrm.evidence import Pairs
from safemlrm.family import Hypothesis
from safemlrm.metrics.paired import tango_interval
from safemlrm.metrics.paired_exact import tango_p_value
from safemlrm.metrics.permutation import sign_flip_p_value
from safemlrm.types import Verdict


def decide_paired(hypothesis: Hypothesis, pairs: Pairs) -> Decision:
    """Decide a difference to the base (STATISTICS, "Against the base"); exact at the full number."""
    limit, n, measured = hypothesis.limit.value, pairs.n, _difference(pairs)
    if cannot_fail(hypothesis):
        return Decision(hypothesis, measured, Verdict.UNGATEABLE)
    kind, harsh = pairs.kind, pairs.harsh
    p_value = tango_p_value(*kind, n, limit)
    return decided(
        hypothesis,
        measured,
        fails=p_value <= hypothesis.level,
        passes=Fraction(harsh[0] - harsh[1], n) <= limit,
        above=Fraction(kind[0] - kind[1], n) > limit,
        settled=tango_p_value(*harsh, n, limit) > hypothesis.level,
        p_value=p_value,
    )


def stopped_pairs(hypothesis: Hypothesis, pairs: Pairs) -> Decision:
    """Decide a difference at the prompt where `stopping.paired_stop` saw that it cannot fail any more."""
    verdict = Verdict.UNGATEABLE if cannot_fail(hypothesis) else Verdict.PASS
    return Decision(hypothesis, _difference(pairs), verdict, stopped=pairs.n)


def decide_rise(hypothesis: Hypothesis, rise: Rise) -> Decision:
    """Decide a rise over an earlier run: beyond its limit, and beyond chance by flipping signs.

    The test's null hypothesis is that nothing changed, so that small rises everywhere are seen; the
    limit keeps a rise that is certain but too small to matter from failing.
    """
    shown, limit, level = rise.shown, hypothesis.limit.value, hypothesis.level
    measured = Measured(
        shown.value, shown.low, shown.high, rise.net, rise.known, rise.n - rise.known
    )
    if cannot_fail(hypothesis):
        return Decision(hypothesis, measured, Verdict.UNGATEABLE)
    p_value = sign_flip_p_value(rise.kind)
    worst = p_value if rise.harsh == rise.kind else sign_flip_p_value(rise.harsh)
    beyond = [sum(side) > limit * rise.n for side in (rise.kind, rise.harsh)]
    return decided(
        hypothesis,
        measured,
        fails=beyond[0] and p_value <= level,
        passes=not beyond[1],
        above=beyond[0],
        settled=worst > level,
        p_value=p_value,
    )


def _difference(pairs: Pairs) -> Measured:
    found = tango_interval(pairs.n10, pairs.n01, pairs.known)
    part, unknown = pairs.n10 - pairs.n01, pairs.n - pairs.known
    return Measured(found.value, found.low, found.high, part, pairs.known, unknown)
