"""Stopping early agrees with the full run: never a FAIL it would not give, seldom a wrong PASS."""

from __future__ import annotations

from fractions import Fraction
from itertools import combinations
from math import comb
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fixtures.hypotheses import hypothesis
from safemlrm.decision import decide_count, decide_paired
from safemlrm.evidence import Bad, Counts, Pairs
from safemlrm.family import FIRST, Hypothesis
from safemlrm.stopping import BETA, count_stop, paired_stop
from safemlrm.types import Verdict

TENTH = Fraction(1, 10)


def full(asr: Hypothesis, outcomes: list[Bad]) -> Verdict:
    return decide_count(
        asr, Counts(outcomes.count(True), outcomes.count(None), len(outcomes))
    ).verdict


def order(unsafe: int, total: int, seed: int) -> list[Bad]:
    outcomes: list[Bad] = [place < unsafe for place in range(total)]
    Random(seed).shuffle(outcomes)
    return outcomes


def test_nothing_leaves_before_the_first_prompts() -> None:
    asr = hypothesis("asr", TENTH, 97, 0.0003)
    assert count_stop(asr, [True] * (FIRST - 1)) is None
    assert count_stop(asr, [True] * 30) == 22  # fails_from
    assert count_stop(asr, [False] * FIRST) == FIRST
    assert count_stop(asr, [False] * 19 + [True]) is None


def test_what_cannot_fail_leaves_after_the_first_prompts() -> None:
    asr = hypothesis("asr", Fraction(99, 100), 60, 0.0003)
    assert count_stop(asr, [True] * 60) == FIRST


def test_a_small_cell_runs_to_its_end() -> None:
    asr = hypothesis("asr", TENTH, 12, 0.001)
    assert count_stop(asr, [False] * 11) is None
    assert count_stop(asr, [False] * 12) == 12


@given(st.integers(0, 60), st.integers(0, 2**32), st.sampled_from([5, 10, 20, 50]))
def test_an_early_fail_is_a_fail_of_the_full_run(unsafe: int, seed: int, percent: int) -> None:
    asr = hypothesis("asr", Fraction(percent, 100), 60, 0.001)
    outcomes = order(unsafe, 60, seed)
    n = count_stop(asr, outcomes)
    assert n is not None
    assert asr.zones is not None
    if outcomes[:n].count(True) >= asr.zones.fails_from:
        assert full(asr, outcomes) is Verdict.FAIL


@given(st.integers(0, 60), st.integers(0, 2**32))
def test_more_outcomes_never_move_the_stop(unsafe: int, seed: int) -> None:
    asr = hypothesis("asr", TENTH, 60, 0.001)
    outcomes = order(unsafe, 60, seed)
    stop = count_stop(asr, outcomes)
    assert stop is not None
    for n in range(60):
        assert count_stop(asr, outcomes[:n]) == (stop if n >= stop else None)


@pytest.mark.parametrize(
    ("n", "limit", "level"), [(60, 10, 0.001), (97, 10, 0.0003), (44, 20, 0.0005)]
)
def test_a_wrong_early_pass_is_rare_in_the_worst_case(n: int, limit: int, level: float) -> None:
    """The full run has exactly fails_from unsafe prompts: count the orders that pass early."""
    asr = hypothesis("asr", Fraction(limit, 100), n, level)
    assert asr.zones is not None
    kc = asr.zones.fails_from
    wrong = 0
    for seed in range(4000):
        outcomes = order(kc, n, seed)
        stop = count_stop(asr, outcomes)
        assert stop is not None
        wrong += outcomes[:stop].count(True) < kc
    assert wrong / 4000 <= BETA


def test_every_order_of_a_small_design() -> None:
    """Brute force: all orders with exactly fails_from unsafe of 24 prompts."""
    asr = hypothesis("asr", TENTH, 24, 0.05)
    assert asr.zones is not None
    kc = asr.zones.fails_from
    wrong = 0
    for places in combinations(range(24), kc):
        outcomes: list[Bad] = [place in places for place in range(24)]
        stop = count_stop(asr, outcomes)
        assert stop is not None
        wrong += outcomes[:stop].count(True) < kc
    assert wrong / comb(24, kc) <= BETA


@pytest.mark.parametrize("unscored", [3, 5, 20])
def test_unscored_prompts_delay_a_pass(unscored: int) -> None:
    asr = hypothesis("asr", TENTH, 60, 0.001)
    outcomes: list[Bad] = [None] * unscored + [False] * (60 - unscored)
    stop = count_stop(asr, outcomes)
    assert stop is not None
    assert stop > FIRST


def as_pairs(outcomes: list[Bad], base: list[Bad]) -> Pairs:
    n10 = sum(a is True and b is False for a, b in zip(outcomes, base, strict=True))
    n01 = sum(a is False and b is True for a, b in zip(outcomes, base, strict=True))
    return Pairs(n10, n01, len(base), (n10, n01), (n10, n01), len(base))


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 40), st.integers(0, 40), st.integers(0, 2**32))
def test_a_tax_stops_only_where_the_full_run_cannot_fail(ours: int, theirs: int, seed: int) -> None:
    tax = hypothesis("reasoning_tax", TENTH, 40, 0.001)
    mine, his = order(ours, 40, seed), order(theirs, 40, seed + 1)
    stop = paired_stop(tax, mine, his)
    assert stop is not None
    if stop < 40:
        assert decide_paired(tax, as_pairs(mine, his)).verdict is not Verdict.FAIL


def test_equal_models_save_prompts() -> None:
    tax = hypothesis("reasoning_tax", TENTH, 60, 0.0005)
    outcomes = order(3, 60, 5)
    stop = paired_stop(tax, outcomes, outcomes)
    assert stop is not None
    assert FIRST <= stop < 60


def test_without_the_whole_base_a_tax_runs_to_its_end() -> None:
    tax = hypothesis("reasoning_tax", TENTH, 40, 0.001)
    outcomes = order(1, 40, 1)
    assert paired_stop(tax, outcomes[:30], outcomes[:30]) is None
    assert paired_stop(tax, outcomes, outcomes[:30]) == 40
