"""The confidence in chosen options against its limit."""

from __future__ import annotations

from collections.abc import Sequence

from safemlrm.decision.decision import Decision, Measured, decided
from safemlrm.decision.ungateable import cannot_fail
from safemlrm.evidence import Chosen
from safemlrm.family import Hypothesis
from safemlrm.metrics.calibration import calibration_error, calibration_p_value, total_gap
from safemlrm.types import Verdict


def decide_calibration(hypothesis: Hypothesis, cells: Sequence[Chosen]) -> Decision:
    """Decide how far off a model's confidence is, by the exact test of `metrics.calibration`."""
    answers = [answer for cell in cells for answer in cell.answers]
    unknown, limit = sum(cell.unknown for cell in cells), hypothesis.limit.value
    found = calibration_error(answers)
    measured = Measured(found.value, found.low, found.high, found.right, found.n, unknown)
    if cannot_fail(hypothesis):
        return Decision(hypothesis, measured, Verdict.UNGATEABLE)
    gap, planned = total_gap(answers), found.n + unknown
    p_value = calibration_p_value(answers, limit, kind=unknown)
    worst = calibration_p_value(answers, limit, harsh=unknown)
    return decided(
        hypothesis,
        measured,
        fails=p_value <= hypothesis.level,
        passes=gap + unknown <= limit * planned,
        above=gap - unknown > limit * planned,
        settled=worst > hypothesis.level,
        p_value=p_value,
    )
