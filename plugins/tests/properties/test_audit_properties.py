"""What must hold for any labels: order, symmetry, samples in proportion, text that stays text."""

from __future__ import annotations

import unicodedata
from random import Random

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from safemlrm.audit import Judged, draw, shown, spelled
from safemlrm.metrics.agreement import Confusion, cohen_kappa, precision, recall, specificity
from safemlrm.metrics.judge_error import corrected_asr, equal_errors, fisher_exact, labels_needed
from safemlrm.metrics.rates import clopper_pearson
from safemlrm.types import Cell

repeatable = settings(deadline=None, derandomize=True, max_examples=80)
counts = st.integers(0, 60)
tables = st.builds(Confusion, counts, counts, counts, counts)


def turned(table: Confusion) -> Confusion:
    """Judge and person change places."""
    return Confusion(table.both, table.person, table.judge, table.neither)


def mirrored(table: Confusion) -> Confusion:
    """Safe and unsafe change places."""
    return Confusion(table.neither, table.person, table.judge, table.both)


@repeatable
@given(tables)
def test_kappa_knows_neither_sides_nor_names(table: Confusion) -> None:
    found = cohen_kappa(table)
    for other in (turned(table), mirrored(table)):
        same = cohen_kappa(other)
        assert (same.low, same.high) == pytest.approx((found.low, found.high))
        assert same.value == pytest.approx(found.value, nan_ok=True)
    assert -1 <= found.low <= found.high <= 1
    assert found.value != found.value or found.low <= found.value <= found.high


@repeatable
@given(tables)
def test_precision_of_one_is_recall_of_the_other(table: Confusion) -> None:
    assert repr(precision(table)) == repr(recall(turned(table)))
    assert repr(specificity(table)) == repr(recall(mirrored(table)))


@repeatable
@given(tables, st.integers(1, 20), st.integers(0, 1000))
def test_a_correction_is_a_rate_inside_its_interval(
    table: Confusion, times: int, more: int
) -> None:
    assume(table.n)
    judged = clopper_pearson(min(table.n * times, table.judged * times + more), table.n * times)
    found = corrected_asr(table, judged)
    assert 0 <= found.low <= found.value <= found.high <= 1
    needed = labels_needed(table, judged, 0.05)
    assert needed is None or 0 < needed <= judged.n


@repeatable
@given(tables, tables)
def test_equal_errors_does_not_ask_who_is_who(ours: Confusion, theirs: Confusion) -> None:
    there, back = equal_errors(ours, theirs), equal_errors(theirs, ours)
    assert (there.recall, there.specificity) == pytest.approx((back.recall, back.specificity))
    assert 0 < there.p_value <= 1
    assert equal_errors(ours, ours).p_value == 1.0


@repeatable
@given(counts, counts, counts, counts)
def test_fisher_is_the_same_for_rows_and_columns(a: int, b: int, c: int, d: int) -> None:
    assert fisher_exact(a, b, c, d) == pytest.approx(fisher_exact(a, c, b, d))


@st.composite
def pools(draw_: st.DrawFn) -> list[Judged]:
    size, rate, random = (
        draw_(st.integers(0, 150)),
        draw_(st.floats(0, 1)),
        Random(draw_(st.integers(0, 2**32))),
    )
    verdicts = [(random.random() < rate, random.choice("abc")) for _ in range(size)]
    return [
        Judged(f"k{i:04d}", Cell(model, s, "direct"), f"p{i}", "refuse", unsafe, None, seen=True)
        for model in ("base", "candidate")
        for i, (unsafe, s) in enumerate(verdicts, start=0 if model == "base" else 500)
    ]


@repeatable
@given(pools(), st.integers(1, 100), st.integers(0, 2**32))
def test_a_sample_is_in_proportion_and_the_same_again(
    pool: list[Judged], wanted: int, seed: int
) -> None:
    drawn = draw(pool, wanted, seed)
    assert drawn == draw(list(reversed(pool)), wanted, seed)
    assert len({judged.key for judged in drawn}) == len(drawn) == min(wanted, len(pool))
    for model in ("base", "candidate"):
        own = [j for j in pool if j.cell.model == model]
        ours = [j for j in drawn if j.cell.model == model]
        for scenario in "abc":
            for unsafe in (True, False):
                share, expected = (
                    sum((j.cell.scenario, j.unsafe) == (scenario, unsafe) for j in side)
                    for side in (ours, own)
                )
                assert abs(share - expected * len(ours) / max(1, len(own))) <= 1 + 1e-9


@repeatable
@given(pools(), st.integers(1, 100))
def test_what_is_known_is_not_drawn_again(pool: list[Judged], wanted: int) -> None:
    first = draw(pool, wanted, 1)
    by_key = draw(pool, wanted, 1, {judged.key for judged in first})
    by_place = draw(pool, wanted, 1, {judged.place for judged in first})
    assert by_key == by_place
    assert not set(by_key) & set(first)


@repeatable
@given(st.text(st.characters(), max_size=80))
def test_no_text_leaves_its_lines(text: str) -> None:
    lines = shown(text)
    assert all(line.startswith("| ") for line in lines)
    assert all(unicodedata.category(c)[0] != "C" for line in lines for c in line)
    assert "\n" not in spelled(text)
