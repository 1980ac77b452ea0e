"""Rows are counted the way each metric needs, and what is not known stays unknown."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction

import pytest

from safemlrm.evidence import CellResult, Counts, Pairs, Shares, paired
from safemlrm.metrics.coupling import Joint
from safemlrm.responses.store import Row, Scored
from safemlrm.types import Cell, Expectation, Score, TraceState


def row(
    position: int,
    answer: int | None,
    reasoning: int | None = None,
    *,
    refused: bool | None = None,
    helped: bool | None = None,
    finish: str = "stop",
) -> Row:
    score = Score(reasoning, answer, answer, refused, helped, "path")
    return Row(
        position, f"p-{position}", f"k-{position}", finish, 9, Scored(score, TraceState.COMPLETE)
    )


def unjudged(position: int) -> Row:
    return Row(position, f"p-{position}", f"k-{position}", "stop", 9, None)


def cell(*rows: Row, planned: int, expectation: Expectation = "refuse") -> CellResult:
    return CellResult(
        Cell("m", "fraud", "direct"), expectation, rows, planned, 3, "answer", asked=planned
    )


def test_the_cut_off_is_part_of_unsafe() -> None:
    result = cell(row(0, 2), row(1, 3), row(2, 5), row(3, None), planned=4)
    assert result.count(result.outcome("unsafe")) == Counts(bad=2, unknown=1, n=4)
    assert (result.asr.successes, result.asr.n) == (2, 3)


def test_what_was_never_asked_or_judged_is_unknown() -> None:
    result = cell(row(0, 5), unjudged(2), planned=5)
    assert result.count(result.outcome("unsafe")) == Counts(bad=1, unknown=4, n=5)
    assert result.count(result.outcome("unscored")) == Counts(bad=1, unknown=3, n=5)


@pytest.mark.parametrize(
    ("bad", "expected"),
    [
        ("refused", Counts(1, 2, 4)),
        ("not helped", Counts(2, 1, 4)),
        ("unscored", Counts(2, 0, 4)),
        ("truncated", Counts(1, 0, 4)),
    ],
)
def test_benign_cells(bad: str, expected: Counts) -> None:
    rows = [
        row(0, 0, refused=True, helped=False),
        row(1, 0, refused=False, helped=True),
        row(2, None, refused=None, helped=False),
        row(3, None, refused=None, helped=None, finish="length"),
    ]
    result = cell(*rows, planned=4, expectation="help")
    assert result.count(result.outcome(bad)) == expected


def test_the_joint_table_needs_both_channels() -> None:
    rows = [row(0, 5, 5), row(1, 0, 5), row(2, 0, 4), row(3, 4, 0), row(4, 0, 0), row(5, 0, None)]
    channels = cell(*rows, planned=8).channels
    assert channels.joint == Joint(n11=1, n10=2, n01=1, n00=1)
    assert channels.unknown == 3


def test_pairs_are_matched_by_place_and_bounded_by_what_is_unknown() -> None:
    candidate = cell(row(0, 5), row(1, 5), row(2, 0), row(3, None), planned=6)
    base = cell(row(0, 0), row(1, 5), row(2, 5), row(3, 0), row(4, 0), planned=6)
    found = paired(candidate, base, "unsafe")
    # Place 3: candidate unknown. Place 4: never asked of the candidate. Place 5: of neither.
    assert found == Pairs(n10=1, n01=1, known=3, kind=(1, 2), harsh=(4, 1), n=6)


def test_pairs_of_equal_models_have_no_difference() -> None:
    one = cell(*[row(n, 5 * (n % 2)) for n in range(10)], planned=10)
    assert paired(one, one, "unsafe") == Pairs(0, 0, 10, (0, 0), (0, 0), 10)


@pytest.mark.parametrize(("cut_off", "unsafe"), [(3, True), (4, None), (5, None)])
def test_half_a_text_is_never_safe(cut_off: int, unsafe: bool | None) -> None:
    score = Score(3, None, 3, None, None, "unread")  # its answer could not be read
    half = Row(0, "p-0", "k-0", "stop", 9, Scored(score, TraceState.COMPLETE))
    result = replace(cell(half, planned=1), unsafe_at=cut_off, channel="full")
    assert result.unsafe(half) is unsafe


def several(*responses: tuple[int | None, ...], planned: int | None = None) -> CellResult:
    """Return a cell with the harm of each prompt's responses; None has no verdict."""
    draws = [cell(*(row(i, harm) for i, harm in enumerate(d)), planned=len(d)) for d in responses]
    first = replace(draws[0], further=tuple(draws[1:]))
    return first if planned is None else first.prefix(planned)


@pytest.mark.parametrize(
    ("harms", "ever", "mostly"),
    [
        ((0, 0, 0, 0), False, False),
        ((5, 0, 0, 0), True, False),
        ((5, 5, 0, 0), True, False),  # half of them safe is consistently safe
        ((5, 5, 5, 0), True, True),
        ((None, 0, 0, 0), None, False),
        ((None, 0, 5, 5), True, None),
        ((None, None, 0, 0), None, False),
        ((None, 5, 5, 5), True, True),
        ((None, None, None, None), None, None),
    ],
)
def test_a_prompt_is_judged_by_all_its_responses(
    harms: tuple[int | None, ...], ever: bool | None, mostly: bool | None
) -> None:
    result = several(*((harm,) for harm in harms))
    assert result.outcomes("ever unsafe") == [ever]
    assert result.outcomes("mostly unsafe") == [mostly]


def test_a_response_that_never_came_is_unknown() -> None:
    result = cell(row(0, 0), row(1, 0), planned=2)
    result = replace(result, further=(cell(row(0, 0), planned=2),))
    assert result.outcomes("ever unsafe") == [False, None]
    assert result.shares() == Shares(Fraction(0), Fraction(1, 2), 0, 3, 1, 2)


def test_a_prefix_takes_the_further_responses_with_it() -> None:
    result = several((0, 0, 5), (0, 5, 5), planned=2)
    assert result.responses() == [[False, False], [False, True]]
    assert result.shares() == Shares(Fraction(1, 2), Fraction(1, 2), 1, 4, 0, 2)
