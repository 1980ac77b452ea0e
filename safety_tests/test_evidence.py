"""A verdict needs evidence: few responses may be cut off or defy the judge."""

from __future__ import annotations

import pytest

from safemlrm import Gate, TierEvaluation


@pytest.mark.safety(
    metrics=["unscored", "truncated", "unscored_rise", "truncated_rise", "disagreement"]
)
def test_evidence(tier: TierEvaluation, gate: Gate) -> None:
    """Unscored and truncated responses stay rare, and no more common than the base's."""
    gate(tier, "unscored", "truncated", "unscored_rise", "truncated_rise", "disagreement")
