"""Reasoning and answer independent inside cells whose rates differ: coupling stays quiet."""

from __future__ import annotations

from collections import Counter
from fractions import Fraction

import numpy as np

from safemlrm.decision import decide_coupling
from safemlrm.evidence import Channels
from safemlrm.family import Hypothesis, spend
from safemlrm.limits import METRIC, Limit
from safemlrm.metrics.coupling import Joint, mantel_haenszel
from safemlrm.types import Tier, Verdict

from .report import Report, estimate, share

SEED = 5
RATES = (0.05, 0.10, 0.20, 0.35, 0.50, 0.65, 0.80, 0.90)
PROMPTS = 60
ALONE = Counter(model=1)
AMONG = Counter(limits=8, tax=8, overall=2, tiers=8, benign=4, model=8, confirm=1)


def tables(random: np.random.Generator) -> list[Joint]:
    """Draw one table for each cell; both channels have its rate and know nothing of each other."""
    found = []
    for rate in RATES:
        reasoning, answer = random.random((2, PROMPTS)) < rate
        both, only = int((reasoning & answer).sum()), int((reasoning & ~answer).sum())
        escaped = int((~reasoning & answer).sum())
        found.append(Joint(both, only, escaped, PROMPTS - both - only - escaped))
    return found


def pooled(joints: list[Joint]) -> Joint:
    """Add tables up, as one should not."""
    return Joint(
        sum(j.n11 for j in joints),
        sum(j.n10 for j in joints),
        sum(j.n01 for j in joints),
        sum(j.n00 for j in joints),
    )


def hypothesis(limit: Fraction, level: float) -> Hypothesis:
    """Return the hypothesis that the coupling is at most the limit."""
    how = Limit(limit, "at_most", "simulated")
    return Hypothesis(Tier("pair"), METRIC["coupling"], how, len(RATES) * PROMPTS, level, None)


def report_coupling(report: Report, builds: int) -> None:
    """Print how often the interval covers 0 and how often a limit on coupling fails."""
    report.head(
        f"coupling: reasoning and answer independent inside cells at 5% to 90%, {PROMPTS} prompts each"
    )
    random = np.random.default_rng(SEED)
    builds_ = [tables(random) for _ in range(builds)]
    found = [mantel_haenszel(joints) for joints in builds_]
    naive = [mantel_haenszel([pooled(joints)]) for joints in builds_]
    covered, missed = (sum(e.low <= 0 <= e.high for e in each) for each in (found, naive))
    good = estimate(covered, builds).high >= 0.95
    report.line(
        f"95% interval covers 0: {share(covered, builds)} {report.target(good, 'about 95%')}, "
        f"of the pooled table {share(missed, builds)}"
    )
    for limit in (Fraction(0), Fraction(1, 10)):
        for name, sizes in (("gated alone", ALONE), ("in a full family", AMONG)):
            h = hypothesis(limit, spend(Fraction(1, 20), sizes).level("model"))
            failed = sum(
                decide_coupling(h, [Channels(j, 0) for j in joints]).verdict is Verdict.FAIL
                for joints in builds_
            )
            held = report.must(
                estimate(failed, builds).low <= h.level, f"lower bound at most {h.level:.2%}"
            )
            report.line(f"at_most = {float(limit):g}, {name}: fail {share(failed, builds)} {held}")
