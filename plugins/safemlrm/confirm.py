"""What fresh responses say of the cells that noise left open (pure).

Each such cell's prompts are asked twice more with fresh seeds, and the cell is decided on those
responses alone: what left it open is not counted again, so the second look costs no error of the
first. Holm's procedure holds the chance that any of them fails wrongly.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from safemlrm.decision import Decision, decide_count
from safemlrm.evidence import Counts
from safemlrm.family import Hypothesis, Zones
from safemlrm.metrics.binomial import critical_count, detectable_rate, pass_count, tail
from safemlrm.types import Case, Reason


def left_open(decision: Decision) -> bool:
    """Whether fresh responses may settle a decision: a case's rate, complete, above by noise."""
    return decision.hypothesis.metric.confirmable and decision.reason is Reason.NOISE


def confirm(
    found: Mapping[Case, tuple[Hypothesis, Counts]], alpha: float, unasked: int = 0
) -> dict[Case, Decision]:
    """Decide the cells that were left open on the counts of their fresh responses.

    `alpha` is the share of all of them together. Beyond the first that does not fail none does
    (Holm 1979); a cell passes when its fresh responses keep the limit. `unasked` cells of the family
    count as left open, so that a selection fails nothing that the whole run would not.
    """

    def p_value(case: Case) -> float:
        hypothesis, counts = found[case]
        return tail(counts.bad, counts.n, hypothesis.most_bad)

    decisions: dict[Case, Decision] = {}
    failed = 0
    for case in sorted(found, key=lambda case: (p_value(case), case)):
        level = alpha / (len(found) + unasked - failed)
        hypothesis, counts = found[case]
        decisions[case] = _decide(hypothesis, counts, level)
        failed += p_value(case) <= level
    return decisions


def _decide(hypothesis: Hypothesis, counts: Counts, level: float) -> Decision:
    n, most_bad = counts.n, hypothesis.most_bad
    fails_from = critical_count(n, most_bad, level)
    zones = Zones(pass_count(n, most_bad), fails_from, detectable_rate(n, fails_from))
    fresh = replace(hypothesis, n=n, level=level, zones=zones)
    return replace(decide_count(fresh, counts), confirmed=True)
