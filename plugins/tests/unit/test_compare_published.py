"""A run beside the published figures: nothing is refused but another cut-off, and all is said."""

from __future__ import annotations

import pytest

from safemlrm.compare import Pair, Side, as_text, compare, read_side
from safemlrm.compare.sides import Terms
from safemlrm.errors import SafemlrmError
from safemlrm.published import CAVEATS, published
from safemlrm.tune import Rate


def run(*pairs: str, attack: str = "direct", unsafe_at: int = 3, bad: int = 10) -> Side:
    """Return a run whose fraud cells came out badly so often of 100."""
    return Side(
        "ours",
        {
            name: Pair(
                name,
                "model",
                Terms(
                    judge="another", unsafe_at=unsafe_at, channel="answer", prompts={"fraud": "x"}
                ),
                rates=(Rate(name, "fraud", attack, "asr", bad, 0, 100),),
            )
            for name in pairs
        },
    )


def test_a_run_is_compared_with_the_published_reasoning_models() -> None:
    found = compare(run("r1"), read_side("published"))
    row = next(row for row in found.rows if row.attack == "direct")
    cells = [
        cell
        for _, candidate in published().pairs
        for cell in published().of(candidate)
        if (cell.scenario, cell.attack) == ("fraud", "direct")
    ]
    assert row.other.n == sum(cell.n for cell in cells) == 308
    assert row.other.bad == sum(cell.unsafe(3) for cell in cells)
    assert not row.paired
    assert row.difference.high < 0
    text = "\n".join(as_text(found))
    assert all(caveat in text for caveat in CAVEATS)


@pytest.mark.parametrize("attack", ["mm_safetybench", "mm_sd_typo"])
def test_the_picture_setting_goes_by_both_names(attack: str) -> None:
    found = compare(run("r1", attack=attack), read_side("published:R1-Onevision-7B"))
    assert {row.other.n for row in found.rows} == {154}


def test_every_pair_of_a_run_is_compared() -> None:
    found = compare(run("aligned", "degraded"), read_side("published"))
    assert {row.pair for row in found.rows} == {"aligned", "degraded"}


def test_another_cut_off_is_another_measure() -> None:
    with pytest.raises(SafemlrmError, match="other cut-offs"):
        compare(run("r1", unsafe_at=4), read_side("published"))
