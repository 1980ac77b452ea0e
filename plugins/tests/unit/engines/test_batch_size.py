"""The largest batch that fits: halved, remembered for its kind, never grown again."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from safemlrm.engines.batch_size import BatchSize


@given(limit=st.integers(1, 4096), room=st.integers(1, 4096))
def test_the_search_ends_within_a_factor_of_two_of_what_fits(limit: int, room: int) -> None:
    sizes = BatchSize(limit)
    tried = 0
    while sizes.of("text") > room:
        assert sizes.halve("text", sizes.of("text"))
        tried += 1
    assert min(limit, room) / 2 <= sizes.of("text") <= min(limit, room)
    assert tried <= 12
    assert sizes.of("pictures") == limit


def test_a_smaller_last_batch_that_does_not_fit_makes_the_rest_smaller_too() -> None:
    sizes = BatchSize(64)
    assert sizes.halve("text", 64)
    assert sizes.halve("text", 10)
    assert sizes.of("text") == 5
    assert sizes.halve("text", 40)
    assert sizes.of("text") == 5


def test_one_request_cannot_be_halved() -> None:
    assert not BatchSize(64).halve("text", 1)
