"""A budget hands out batches until it is spent, to the request."""

from __future__ import annotations

import pytest

from safemlrm.budget import Purse
from safemlrm.config import Budget
from safemlrm.types import Completion, Prompt, Request, Turn

PROMPT = Prompt("fr-001", "fraud", (Turn("x"),), "x")


def batches(*sizes: int) -> list[list[Request]]:
    return [[Request(f"{b}-{n}", PROMPT, n) for n in range(size)] for b, size in enumerate(sizes)]


@pytest.mark.parametrize(
    ("requests", "handed"),
    [(None, [4, 4, 2]), (100, [4, 4, 2]), (10, [4, 4, 2]), (9, [4, 4, 1]), (8, [4, 4]), (1, [1])],
)
def test_requests(requests: int | None, handed: list[int]) -> None:
    purse = Purse(Budget(requests=requests))
    assert [len(batch) for batch in purse.limit(iter(batches(4, 4, 2)))] == handed
    assert bool(purse.empty) == (requests is not None and requests <= 10)


def test_tokens_are_paid_when_a_batch_returns() -> None:
    purse = Purse(Budget(tokens=20))
    handed = []
    for batch in purse.limit(iter(batches(2, 2, 2))):
        handed.append(len(batch))
        purse.pay([Completion(r.key, "x", "stop", 4, 2) for r in batch])
    assert handed == [2, 2]
    assert purse.empty == "[budget] tokens = 20"


def test_no_seconds_left() -> None:
    purse = Purse(Budget(seconds=1e-9))
    assert list(purse.limit(iter(batches(2)))) == []
    assert purse.empty == "[budget] seconds = 1e-09"
