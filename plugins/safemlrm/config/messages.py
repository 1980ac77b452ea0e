"""Words for mistakes in safety.toml: where, what was found, what was expected."""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches
from typing import TypeGuard

from pydantic import BaseModel, ValidationError

from safemlrm.config.schema import Config

NOT_KEYS = ("file", "profile", "left_out")
"""Fields of Config that a file does not set."""
SHOWN = 80
"""Characters of a found value that a message shows whole."""


def suggest(wrong: str, known: Iterable[str]) -> str:
    """Return "; did you mean 'x'?" or the list of what exists, ready to append to a sentence."""
    names = sorted(known)
    close = get_close_matches(wrong, names, n=1, cutoff=0.6)
    if close:
        return f"; did you mean {close[0]!r}?"
    return f"; known: {', '.join(names)}" if names else ""


def unknown_key(*path: int | str) -> str:
    """Return the line for a key that no table has."""
    return f"unknown key {_where(path)}{suggest(str(path[-1]), _keys_beside(path))}"


def explain(error: ValidationError) -> list[str]:
    """Return one line for each problem pydantic found."""
    return [
        _line(tuple(problem["loc"]), problem["type"], problem["msg"], problem.get("input"))
        for problem in error.errors(include_url=False)
    ]


def _line(path: tuple[int | str, ...], kind: str, message: str, value: object) -> str:
    where = _where(path)
    if kind == "extra_forbidden":
        return unknown_key(*path)
    if kind == "missing":
        return f"missing {where}"
    if kind == "too_short":
        return f"{where} is empty; add at least one [{path[0]}.NAME]"
    if kind == "string_pattern_mismatch":
        return f"{where} is not a valid name; use a-z, 0-9 and _ and start with a letter"
    shown = _shown(value)
    if kind in ("model_type", "dict_type"):
        return f"{where}: expected a table{shown}"
    text = message.removeprefix("Value error, ")
    return f"{where}: {text[:1].lower()}{text[1:]}{shown}"


def _shown(value: object) -> str:
    """Return " (found ...)" for a plain value, with the middle of a long one left out."""
    if not isinstance(value, str | int):
        return ""
    found = repr(value)
    return f" (found {found if len(found) <= SHOWN else f'{found[:20]}...{found[-10:]}'})"


def _where(path: tuple[int | str, ...]) -> str:
    """Write a path as it stands in the file: [models.base] path, [[limits.override]] #2 asr."""
    parts = [str(part) for part in path if part != "[key]"]
    if len(parts) == 1:
        return f"[{parts[0]}]" if _is_table(parts[0]) else parts[0]
    for position, part in enumerate(path):
        if isinstance(part, int):
            rest = " ".join(parts[position + 1 :])
            return f"[[{'.'.join(parts[:position])}]] #{part + 1} {rest}".rstrip()
    if path[-1] == "[key]":
        return f"[{'.'.join(parts)}]"
    return f"[{'.'.join(parts[:-1])}] {parts[-1]}"


def _is_table(name: str) -> bool:
    field = Config.model_fields.get(name)
    return field is not None and field.annotation is not str and name not in NOT_KEYS


def _keys_beside(path: tuple[int | str, ...]) -> list[str]:
    """Return the keys that are allowed where an unknown one was found."""
    annotation: object = Config
    for part in path[:-1]:
        if _is_model(annotation):
            annotation = annotation.model_fields[str(part)].annotation
        else:
            annotation = _inner_table(annotation)
    annotation = _inner_table(annotation)
    if _is_model(annotation):
        hidden = NOT_KEYS if annotation is Config else ()
        extra = ["profiles"] if annotation is Config else []
        return [name for name in annotation.model_fields if name not in hidden] + extra
    return []


def _inner_table(annotation: object) -> object:
    """Return the table inside dict[..., Table], tuple[Table, ...] or Table | None."""
    if _is_model(annotation):
        return annotation
    inner = [_inner_table(argument) for argument in getattr(annotation, "__args__", ())]
    return next((found for found in inner if _is_model(found)), annotation)


def _is_model(annotation: object) -> TypeGuard[type[BaseModel]]:
    return isinstance(annotation, type) and issubclass(annotation, BaseModel)
