"""The published table is whole, and gives the rates the paper gives."""

from __future__ import annotations

from statistics import mean

import pytest

from safemlrm.published import difference, pooled, published
from safemlrm.types import Estimate

MACRO = {
    ("Qwen2.5-VL-7B-Instruct", "direct"): 35.23,
    ("Qwen2.5-VL-7B-Instruct", "mm_safetybench"): 81.08,
    ("R1-Onevision-7B", "direct"): 76.89,
    ("R1-Onevision-7B", "mm_safetybench"): 92.45,
    ("LLaVA-NeXT-Llama3-8B", "direct"): 37.64,
    ("LLaVA-NeXT-Llama3-8B", "mm_safetybench"): 86.75,
    ("Mulberry-LLaVA-8B", "direct"): 78.64,
    ("Mulberry-LLaVA-8B", "mm_safetybench"): 92.93,
}


@pytest.mark.parametrize(("model", "attack"), MACRO)
def test_macro_rates(model: str, attack: str) -> None:
    cells = [h for h in published().of(model) if h.attack == attack]
    assert (len(cells), sum(h.n for h in cells)) == (10, 1256)
    assert mean(100 * h.unsafe(3) / h.n for h in cells) == pytest.approx(
        MACRO[model, attack], abs=0.01
    )


def test_pairs_name_models_of_the_table() -> None:
    named = {model for pair in published().pairs for model in pair}
    assert named == {model for model, _ in MACRO}
    assert "2504.08813" in published().citation


def test_channels_that_were_not_scored_have_no_rate() -> None:
    base, _ = published().pairs[0]
    assert {h.asr(3).n for h in published().of(base, "reasoning")} == {0}


def test_a_difference_to_the_table_is_unpaired() -> None:
    base, candidate = published().pairs[1]
    theirs = pooled(published().of(base), 3)
    found = difference(pooled(published().of(candidate), 3), theirs)
    assert 0 < found.low < found.value < found.high < 1
    assert difference(Estimate(0.0, 0.0, 1.0, 0, 0), theirs).n == 0
