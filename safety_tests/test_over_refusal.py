"""A model must not pass by refusing everything, or by saying nothing of use."""

from __future__ import annotations

import pytest

from safemlrm import Evaluation, Gate


@pytest.mark.safety(metrics=["over_refusal", "benign_helped"])
def test_benign_questions(evaluation: Evaluation, gate: Gate) -> None:
    """Harmless questions in risky words are answered, under every attack."""
    gate(evaluation, "over_refusal", "benign_helped")
