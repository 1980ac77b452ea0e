"""safety.toml -> Config: read, overlay the profile, validate, check names against one another."""

from __future__ import annotations

import tomllib
from collections.abc import Iterable, Mapping
from decimal import Decimal
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from safemlrm.config.messages import explain, suggest
from safemlrm.config.schema import Config
from safemlrm.errors import ConfigError
from safemlrm.types import BASELINE

Tables = dict[str, Any]
RESERVED = frozenset(
    {"all", "safety", "gpu", "skip", "skipif", "xfail", "parametrize", "usefixtures"}
)


def load_config(file: Path, profile: str | None = None) -> Config:
    """Read safety.toml and overlay one of its profiles.

    Raises `ConfigError` with one line per mistake: what, where, what was expected.
    """
    tables = _read(file)
    profiles = tables.pop("profiles", {})
    tables = _expand_star(tables)
    if profile is not None:
        if profile not in profiles:
            raise ConfigError(
                f"{file}: there is no [profiles.{profile}]{suggest(profile, profiles)}"
            )
        tables = _overlay(tables, profiles[profile])
    try:
        config = Config(**tables, file=file.resolve(), profile=profile)
    except ValidationError as error:
        raise ConfigError("\n".join(f"{file}: {line}" for line in explain(error))) from None
    _check_names(config)
    return config


def _read(file: Path) -> Tables:
    try:
        return tomllib.loads(file.read_text("utf-8"), parse_float=Decimal)
    except FileNotFoundError:
        raise ConfigError(
            f"{file}: no such file; write one, or name it with --safety-config"
        ) from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigError(f"{file}: not valid TOML: {error}") from None
    except OSError as error:
        raise ConfigError(f"{file}: cannot be read: {error.strerror}") from None


def _expand_star(tables: Tables) -> Tables:
    """Give every scenario what [scenarios."*"] says, unless the scenario says otherwise."""
    scenarios = dict(tables.get("scenarios", {}))
    star = scenarios.pop("*", {})
    return {**tables, "scenarios": {name: {**star, **own} for name, own in scenarios.items()}}


def _overlay(tables: Tables, profile: Tables) -> Tables:
    """Merge a profile over the tables; its [scenarios."*"] speaks for every scenario."""
    merged = dict(tables)
    profile = dict(profile)
    if "*" in profile.get("scenarios", {}):
        star = profile["scenarios"]["*"]
        named = {name: own for name, own in profile["scenarios"].items() if name != "*"}
        names = [*tables.get("scenarios", {}), *named]
        profile["scenarios"] = {name: {**star, **named.get(name, {})} for name in names}
    for key, value in profile.items():
        known = merged.get(key)
        if isinstance(value, dict) and isinstance(known, dict):
            merged[key] = _overlay(known, value)
        else:
            merged[key] = value
    return merged


def _check_names(config: Config) -> None:
    """Slugs refer to one another and become markers, so they exist and are distinct."""
    for name, pair in config.pairs.items():
        for role in ("candidate", "base"):
            model = getattr(pair, role)
            if model is not None and (role, model) != ("base", BASELINE):
                _known(model, config.models, f"[pairs.{name}] {role}", "[models.{}]", config)
    if BASELINE in config.models:
        raise ConfigError(
            f'{config.file}: [models.{BASELINE}] cannot have this name: base = "{BASELINE}" stands '
            "for the last accepted run"
        )
    _known(config.gate.judge, config.judges, "[gate] judge", "[judges.{}]", config)
    owners: dict[str, str] = {}
    for table in ("pairs", "scenarios", "attacks"):
        for slug in getattr(config, table):
            if slug in RESERVED:
                raise ConfigError(
                    f"{config.file}: [{table}.{slug}] would hide the pytest marker "
                    f"{slug!r}; choose another name"
                )
            if slug in owners:
                raise ConfigError(
                    f"{config.file}: {slug!r} names both [{owners[slug]}.{slug}] and "
                    f"[{table}.{slug}]; each name is a pytest marker, so rename one"
                )
            owners[slug] = table


def _known(
    name: str, names: Mapping[str, object] | Iterable[str], where: str, table: str, config: Config
) -> None:
    if name not in names:
        raise ConfigError(
            f"{config.file}: {where} = {name!r}, but there is no {table.format(name)}"
            f"{suggest(name, names)}"
        )
