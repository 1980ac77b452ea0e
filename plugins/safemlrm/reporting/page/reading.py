"""summary.json -> the objects it was written from, so that one code words every report."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from math import nan
from typing import Any

from pydantic import TypeAdapter

from safemlrm.picture import Picture
from safemlrm.reporting.curve import Curve
from safemlrm.reporting.form import Audited
from safemlrm.reporting.record import Record

NUMBERS = frozenset({"value", "low", "high"})
"""Keys whose null in JSON stands for a number that is not defined."""


def records_in(summary: Mapping[str, Any]) -> list[Record]:
    """Return a summary's decisions, worst first as they stand there."""
    return _records().validate_python(_numbers(summary["decisions"]))


def pictures_in(summary: Mapping[str, Any]) -> list[Picture]:
    """Return what a summary's pairs look like as a whole."""
    return _pictures().validate_python(_numbers(summary["pictures"]))


def curves_in(summary: Mapping[str, Any]) -> list[Curve]:
    """Return how a summary's candidates go on after prefills of growing length."""
    return _curves().validate_python(_numbers(summary["curves"]))


def audit_in(summary: Mapping[str, Any]) -> Audited | None:
    """Return what a summary shows of the audit by people, None where there was none."""
    found = summary["audit"]
    return None if found is None else Audited.model_validate(_numbers(found))


@lru_cache(maxsize=1)
def _records() -> TypeAdapter[list[Record]]:
    return TypeAdapter(list[Record])


@lru_cache(maxsize=1)
def _pictures() -> TypeAdapter[list[Picture]]:
    return TypeAdapter(list[Picture])


@lru_cache(maxsize=1)
def _curves() -> TypeAdapter[list[Curve]]:
    return TypeAdapter(list[Curve])


def _numbers(data: Any) -> Any:
    """Undo what JSON cannot say: NaN was written as null."""
    if isinstance(data, dict):
        return {
            key: nan if value is None and key in NUMBERS else _numbers(value)
            for key, value in data.items()
        }
    return [_numbers(value) for value in data] if isinstance(data, list | tuple) else data
