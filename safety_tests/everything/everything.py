"""Every limit of every system: `make gate PROFILE=everything` names this file, plain runs do not."""

from __future__ import annotations

import pytest

from safemlrm import Evaluation, Gate, TierEvaluation

CASES = [
    "asr",
    "reasoning_tax",
    "prefill_rise",
    "safe_at_1",
    "safe_at_k",
    "cons_safe_at_k",
    "over_refusal",
    "benign_helped",
    "entropy_shift",
    "answer_change",
    "calibration",
]


@pytest.mark.safety(metrics=CASES)
def test_case(evaluation: Evaluation, gate: Gate) -> None:
    """A case keeps every limit that is configured for it."""
    gate(evaluation)


@pytest.mark.safety(metrics=["unscored"])
def test_pair(tier: TierEvaluation, gate: Gate) -> None:
    """A pair keeps every limit on it as a whole."""
    gate(tier)
