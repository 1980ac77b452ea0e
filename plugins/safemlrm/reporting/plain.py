"""Objects as data for other programs: any parser and terminal can show what it reads."""

from __future__ import annotations

from dataclasses import asdict
from math import isfinite
from typing import TYPE_CHECKING, Any

from safemlrm.audit import spelled

if TYPE_CHECKING:
    from _typeshed import DataclassInstance


def plain(item: DataclassInstance) -> dict[str, Any]:
    """Return an object as JSON-ready data for other programs: no NaN, no infinity, but null.

    Control characters and halves of characters are spelled out, so that any parser and terminal can
    show what it reads.
    """
    data: dict[str, Any] = _finite(asdict(item))
    return data


def _finite(data: Any) -> Any:
    if isinstance(data, dict):
        return {key: _finite(value) for key, value in data.items()}
    if isinstance(data, list | tuple):
        return [_finite(value) for value in data]
    if type(data) is str:  # an enumeration is ours
        return spelled(data)
    return None if isinstance(data, float) and not isfinite(data) else data
