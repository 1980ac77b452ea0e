"""Laws of the digest of a cell's texts: equal texts in equal places and nothing else have one digest."""

from __future__ import annotations

from hypothesis import assume, given
from hypothesis import strategies as st

from safemlrm.responses.texts import digest_of

# Quotes, digits and line breaks are what the digest's own lines are made of.
TEXT = st.text('ab01 "\\\n\u2028é', max_size=6) | st.text(st.characters(codec="utf-8"), max_size=20)
CELL = st.lists(TEXT, max_size=6).map(lambda texts: list(enumerate(texts)))


@given(CELL, CELL)
def test_two_cells_have_one_digest_only_where_all_texts_are_equal(
    one: list[tuple[int, str]], other: list[tuple[int, str]]
) -> None:
    assert (digest_of(one) == digest_of(other)) == (one == other)


@given(st.lists(TEXT, min_size=1, max_size=6), st.data(), TEXT)
def test_any_text_changes_it(texts: list[str], drawn: st.DataObject, other: str) -> None:
    at = drawn.draw(st.integers(0, len(texts) - 1))
    assume(texts[at] != other)
    changed = [*texts[:at], other, *texts[at + 1 :]]
    assert digest_of(enumerate(texts)) != digest_of(enumerate(changed))


@given(st.lists(TEXT, min_size=2, max_size=6, unique=True), st.data())
def test_their_order_matters(texts: list[str], drawn: st.DataObject) -> None:
    order = drawn.draw(st.permutations(texts))
    assume(order != texts)
    assert digest_of(enumerate(texts)) != digest_of(enumerate(order))


@given(CELL.filter(bool), st.integers(1, 3))
def test_a_text_in_another_place_is_another_one(cell: list[tuple[int, str]], by: int) -> None:
    """Where a prompt has no response the next one does not move up."""
    moved = [(position + by, text) for position, text in cell]
    assert digest_of(cell) != digest_of(moved)


@given(TEXT, TEXT)
def test_a_piece_of_a_text_cannot_move_to_its_neighbour(one: str, other: str) -> None:
    for cut in range(len(one)):
        moved = [(0, one[:cut]), (1, one[cut:] + other)]
        assert digest_of(moved) != digest_of([(0, one), (1, other)])
