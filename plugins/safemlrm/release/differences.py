"""Two plain structures -> where they differ, in words that are safe to print (pure)."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from math import isclose
from typing import Any

LONGEST = 80
MOST = 3
"""Differences of one subject that are spelt out."""


@dataclass(frozen=True, slots=True)
class Difference:
    """A place where a record says one thing and what was recomputed says another."""

    where: str
    recorded: Any
    found: Any

    def __str__(self) -> str:
        return f"{shown(self.where)} is {worded(self.recorded)} in the record, found {worded(self.found)}"


def differences(recorded: Any, found: Any, where: str = "") -> Iterator[Difference]:
    """Yield every leaf that differs; None stands for what is missing.

    Numbers with a fraction agree to nine digits: other machines round otherwise.
    """
    if isinstance(recorded, Mapping) and isinstance(found, Mapping):
        for key in dict.fromkeys([*recorded, *found]):
            path = f"{where}.{key}" if where else str(key)
            yield from differences(recorded.get(key), found.get(key), path)
    elif _listed(recorded) and _listed(found) and len(recorded) == len(found):
        for number, (ours, theirs) in enumerate(zip(recorded, found, strict=True), start=1):
            yield from differences(ours, theirs, f"{where} #{number}")
    elif not _same(recorded, found):
        yield Difference(where, recorded, found)


def _same(one: Any, other: Any) -> bool:
    if isinstance(one, float) and isinstance(other, float):
        return isclose(one, other, rel_tol=1e-9, abs_tol=1e-12)
    return type(one) is type(other) and bool(one == other)


def _listed(value: Any) -> bool:
    return isinstance(value, Sequence) and not isinstance(value, str)


def summed_up(found: Iterable[Difference]) -> str:
    """Return the differences of one subject in a line."""
    texts = [str(each) for each in found]
    more = f" (and {len(texts) - MOST} more)" if len(texts) > MOST else ""
    return "; ".join(texts[:MOST]) + more


def worded(value: Any) -> str:
    """Return a value as text on one line without control characters, cut where it is long."""
    if value is None:
        return "nothing"
    text = json.dumps(value, sort_keys=True, default=str)
    return text if len(text) <= LONGEST else f"{text[:LONGEST]}..."


def shown(name: object) -> str:
    """Return a name from a record, which anybody may have written, as text that is safe to print."""
    return json.dumps(str(name))[1:-1][: 2 * LONGEST]
