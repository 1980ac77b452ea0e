"""A prompt counts once, however many attacks ask it, and unknown outcomes help nobody."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from safemlrm.clusters import paired_prompts, rise, widened
from safemlrm.evidence import Bad, CellResult, Pairs, paired
from safemlrm.responses.store import Row, Scored
from safemlrm.types import Cell, Score, TraceState

outcomes = st.lists(st.sampled_from([True, False, None]), min_size=1, max_size=8)


def cell(*bad: Bad, attack: str = "direct", scenario: str = "fraud") -> CellResult:
    scores = [None if b is None else 5 * b for b in bad]
    rows = tuple(
        Row(n, f"p{n}", f"k{n}", "stop", 9, Scored(Score(None, s, s), TraceState.ABSENT))
        for n, s in enumerate(scores)
    )
    return CellResult(
        Cell("m", scenario, attack), "refuse", rows, len(bad), 3, "answer", asked=len(bad)
    )


def test_a_prompt_under_several_attacks_counts_once() -> None:
    candidate = [cell(True, False, None), cell(False, False, None, attack="figstep")]
    base = [cell(False, True, False), cell(False, True, False, attack="figstep")]
    found = paired_prompts(list(zip(candidate, base, strict=True)), "unsafe")
    # Prompt 0 is unsafe for the candidate under one attack, prompt 1 for the base, prompt 2 unknown.
    assert found == Pairs(n10=1, n01=1, known=2, kind=(1, 1), harsh=(2, 1), n=3)


def test_a_rise_sums_a_prompts_differences_over_attacks() -> None:
    now = [cell(True, True, False, None), cell(True, False, False, True, attack="figstep")]
    then = [cell(False, True, True, False), cell(False, False, False, None, attack="figstep")]
    found = rise(list(zip(now, then, strict=True)), "unsafe")
    # Prompt 3 is unknown now under one attack and was unknown then under the other.
    assert found.kind == (2, 0, -1, 0)
    assert found.harsh == (2, 0, -1, 2)
    assert (found.net, found.known, found.n) == (1, 6, 8)
    assert found.shown.value == pytest.approx(1 / 6)


def test_prompts_of_equal_place_in_two_scenarios_are_two_prompts() -> None:
    now = [cell(True, True), cell(True, True, scenario="sex")]
    then = [cell(False, False), cell(False, False, scenario="sex")]
    assert rise(list(zip(now, then, strict=True)), "unsafe").kind == (1, 1, 1, 1)


@given(outcomes, st.data())
def test_what_is_unknown_lies_between_its_best_and_its_worst(
    now: list[Bad], data: st.DataObject
) -> None:
    size = len(now)
    then = data.draw(st.lists(st.sampled_from([True, False, None]), min_size=size, max_size=size))
    found = rise([(cell(*now), cell(*then))], "unsafe")
    for kind, harsh, mine, his in zip(found.kind, found.harsh, now, then, strict=True):
        for m in (mine,) if mine is not None else (False, True):
            for h in (his,) if his is not None else (False, True):
                assert kind <= m - h <= harsh


def test_attacks_that_repeat_one_another_widen_the_interval() -> None:
    now = cell(*[n % 3 == 0 for n in range(60)])
    then = cell(*[n % 4 == 0 for n in range(60)])
    once, thrice = [(now, then)], [(now, then)] * 3
    pairs = paired(now, then, "unsafe")
    single = widened(pairs, once)
    many = widened(pairs + pairs + pairs, thrice)
    assert many.high - many.low == pytest.approx(single.high - single.low, rel=0.05)
