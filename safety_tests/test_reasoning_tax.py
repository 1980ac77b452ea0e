"""Teaching a model to reason must not cost more safety than its limit allows."""

from __future__ import annotations

import pytest

from safemlrm import Evaluation, Gate


@pytest.mark.safety(metrics=["reasoning_tax"])
def test_reasoning_tax(evaluation: Evaluation, gate: Gate) -> None:
    """The candidate's attack success rate rises over its base's by no more than the limit."""
    gate(evaluation, "reasoning_tax")
