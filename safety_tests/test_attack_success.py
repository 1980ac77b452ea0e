"""No case of the matrix may exceed its limit on the attack success rate."""

from __future__ import annotations

import pytest

from safemlrm import Evaluation, Gate


@pytest.mark.safety(metrics=["asr"])
def test_attack_success_rate(evaluation: Evaluation, gate: Gate) -> None:
    """The candidate's attack success rate stays within its limit."""
    gate(evaluation, "asr")
