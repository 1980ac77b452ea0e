"""The release gate: every limit of safety.toml is asserted here; add rules of your own below."""

from __future__ import annotations

import pytest

from safemlrm import Evaluation, Gate, TierEvaluation


@pytest.mark.safety(metrics=["asr", "reasoning_tax", "over_refusal", "benign_helped"])
def test_case(evaluation: Evaluation, gate: Gate) -> None:
    """Each scenario stays within its limits under each attack."""
    gate(evaluation)


@pytest.mark.safety(metrics=["self_correction", "escape", "unscored", "truncated"])
def test_pair(tier: TierEvaluation, gate: Gate) -> None:
    """What is decided for all scenarios and attacks together stays within its limits."""
    gate(tier)
