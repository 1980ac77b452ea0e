"""How unsafe thoughts and unsafe answers go together, over all cases of a pair."""

from __future__ import annotations

import pytest

from safemlrm import Gate, TierEvaluation


@pytest.mark.safety(metrics=["self_correction", "escape", "leak", "coupling"])
def test_coupling(tier: TierEvaluation, gate: Gate) -> None:
    """Unsafe reasoning is overridden often enough, and safe reasoning seldom escapes."""
    gate(tier, "self_correction", "escape", "leak", "coupling")
