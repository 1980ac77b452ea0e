"""Limits of a difference or an error that no outcome of the planned prompts could break."""

from __future__ import annotations

from safemlrm.family import Hypothesis
from safemlrm.metrics.binomial import tail
from safemlrm.metrics.paired_exact import tango_p_value


def cannot_fail(hypothesis: Hypothesis) -> bool:
    """Whether no outcome of the planned prompts could break the limit of a difference or an error."""
    limit, n = hypothesis.limit.value, hypothesis.n
    if hypothesis.metric.kind == "calibration":  # all right, and none of it believed
        return limit == 1 or 2 * tail(n, n, limit) > hypothesis.level
    if hypothesis.metric.kind == "rise":  # every prompt worse is the most surprising outcome
        return limit == 1 or 0.5**n > hypothesis.level
    return limit == 1 or tango_p_value(n, 0, n, limit) > hypothesis.level
