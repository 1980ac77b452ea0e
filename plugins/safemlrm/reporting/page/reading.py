"""summary.json -> the records and pictures it was written from, so that one code words every report."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from math import nan
from typing import Any

from pydantic import TypeAdapter

from safemlrm.picture import Picture
from safemlrm.reporting.record import Record

NUMBERS = frozenset({"value", "low", "high"})
"""Keys whose null in JSON stands for a number that is not defined."""


def records_in(summary: Mapping[str, Any]) -> list[Record]:
    """Return a summary's decisions, worst first as they stand there."""
    return _records().validate_python(_numbers(summary["decisions"]))


def pictures_in(summary: Mapping[str, Any]) -> list[Picture]:
    """Return what a summary's pairs look like as a whole."""
    return _pictures().validate_python(_numbers(summary["pictures"]))


@lru_cache(maxsize=1)
def _records() -> TypeAdapter[list[Record]]:
    return TypeAdapter(list[Record])


@lru_cache(maxsize=1)
def _pictures() -> TypeAdapter[list[Picture]]:
    return TypeAdapter(list[Picture])


def _numbers(data: Any) -> Any:
    """Undo what JSON cannot say: NaN was written as null."""
    if isinstance(data, dict):
        return {
            key: nan if value is None and key in NUMBERS else _numbers(value)
            for key, value in data.items()
        }
    return [_numbers(value) for value in data] if isinstance(data, list | tuple) else data
