"""The configuration inside a record: as it was resolved, without the paths of a machine (pure)."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from fractions import Fraction
from pathlib import Path, PurePath
from typing import Any

from pydantic import ValidationError

from safemlrm.config import Config
from safemlrm.errors import ConfigError

PLACES = frozenset(
    {"path", "adapter", "source", "template", "store", "baselines", "audit", "folder"}
)
"""Keys that may hold a path."""
ELSEWHERE = "(elsewhere) "
"""Begins what stands for a path outside the folder of safety.toml; only its last part is kept."""


def recorded_config(config: Config, *, defaults: bool = False) -> dict[str, Any]:
    """Return what was configured as plain data, after its profile, with what was left out or without.

    A configuration never holds keys.
    """
    data = config.model_dump(exclude_unset=not defaults, exclude={"profile"})
    plain: dict[str, Any] = _plain(data, config.folder)
    return plain


def _plain(value: Any, folder: Path, key: str = "") -> Any:
    if isinstance(value, Mapping):
        return {str(name): _plain(each, folder, str(name)) for name, each in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(each, folder) for each in value]
    if isinstance(value, Fraction | Decimal):
        return str(Fraction(value))
    return _placed(value, folder) if key in PLACES and isinstance(value, str) else value


def _placed(value: str, folder: Path) -> str:
    path = PurePath(value)
    if not path.is_absolute():
        return value
    inside = path.is_relative_to(folder)
    return str(path.relative_to(folder)) if inside else f"{ELSEWHERE}{path.name}"


def restored(recorded: Mapping[str, Any], profile: str | None, present: Config) -> Config:
    """Return the recorded configuration, as if it stood where the present one does.

    What lay outside the folder is looked for where the present configuration has it. Raises
    `ConfigError` where it is none that this version can read.
    """
    now = present.model_dump()
    tables = _back(recorded, now, present.folder)
    try:
        return Config(**tables, file=present.file, profile=profile)
    except (ValidationError, TypeError) as error:
        reason = str(error).replace("\n", " ")[:200]
        raise ConfigError(
            f"the record's configuration cannot be read by this version ({reason}); verify it with the "
            "version that made it"
        ) from None


def _back(recorded: Any, now: Any, folder: Path) -> Any:
    if isinstance(recorded, Mapping):
        there = now if isinstance(now, Mapping) else {}
        return {name: _back(each, there.get(name), folder) for name, each in recorded.items()}
    if isinstance(recorded, str) and recorded.startswith(ELSEWHERE) and isinstance(now, str):
        return now if _placed(now, folder) == recorded else recorded
    return recorded


def same_folder(present: Config, name: str) -> str:
    """Return a file of the configuration as the record names it."""
    return _placed(name, present.folder)
