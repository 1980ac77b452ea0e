"""safety.toml -> Config: read, overlay the profile, validate, check the tables together."""

from __future__ import annotations

import tomllib
from collections.abc import Iterable
from decimal import Decimal
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from safemlrm.config.checks import contradictions
from safemlrm.config.messages import NOT_KEYS, explain, suggest, unknown_key
from safemlrm.config.schema import Config, Gate, Limits
from safemlrm.errors import ConfigError

Tables = dict[str, Any]


def load_config(file: Path, profile: str | None = None, candidates: Path | None = None) -> Config:
    """Read safety.toml and overlay one of its profiles.

    `candidates` is another safety.toml that says what the pairs' candidates are, and nothing else.
    Raises `ConfigError` with one line per mistake: what, where, what was expected.
    """
    tables = read_tables(file)
    if candidates is not None:
        tables = _with_candidates(tables, candidates)
    profiles = tables.pop("profiles", {})
    _refuse(file, _profile_mistakes(profiles))
    tables = _expand_star({"scenarios": {}, **tables}, [])
    if profile is not None:
        if profile not in profiles:
            raise ConfigError(
                f"{file}: there is no [profiles.{profile}]{suggest(profile, profiles)}"
            )
        expanded = _expand_star(profiles[profile], _names(tables.get("scenarios")))
        tables = overlay(tables, expanded)
    _refuse(file, [unknown_key(key) for key in NOT_KEYS if key in tables])
    try:
        config = Config(**tables, file=file.resolve(), profile=profile)
    except ValidationError as error:
        raise _complaint(file, explain(error)) from None
    _refuse(file, contradictions(config))
    return config


def read_gate(file: Path | None) -> tuple[Gate, Limits]:
    """Return [gate] and [limits] of a file alone, for figures that no model of it gave.

    Without a file nothing is limited. The channel is the full text unless the file names another.
    """
    tables = {} if file is None else read_tables(file)
    limits = {"channel": "full", **tables.get("limits", {})}
    try:
        return Gate(**tables.get("gate", {})), Limits(**limits)
    except ValidationError as error:
        raise _complaint(file or Path(), explain(error)) from None


def _with_candidates(tables: Tables, other: Path) -> Tables:
    """Put another file's tables of the pairs' candidates in the place of those that are here.

    What has no shape of tables stays, to be complained of.
    """
    here, there = tables.get("models"), read_tables(other).get("models")
    pairs = tables.get("pairs")
    if not isinstance(here, dict) or not isinstance(pairs, dict):
        return tables
    named = {
        p["candidate"]: name
        for name, p in pairs.items()
        if isinstance(p, dict) and isinstance(p.get("candidate"), str)
    }
    known = there if isinstance(there, dict) else {}
    lacking = [
        f"[models.{model}], the candidate of [pairs.{name}]"
        for model, name in named.items()
        if model not in known
    ]
    if lacking:
        raise ConfigError(
            f"{other}: there is no {lacking[0]}; a candidate keeps its name, so write its table here"
        )
    return {**tables, "models": here | {model: known[model] for model in named}}


def _refuse(file: Path, mistakes: Iterable[str]) -> None:
    found = list(mistakes)
    if found:
        raise _complaint(file, found)


def _complaint(file: Path, mistakes: list[str]) -> ConfigError:
    return ConfigError("\n".join(f"{file}: {line}" for line in mistakes))


def read_tables(file: Path) -> Tables:
    """Return a file's tables as they stand; raises `ConfigError` where it is no TOML."""
    try:
        return tomllib.loads(file.read_text("utf-8"), parse_float=Decimal)
    except FileNotFoundError:
        raise ConfigError(
            f"{file}: no such file; write one, or name it with --safety-config"
        ) from None
    except OSError as error:
        raise ConfigError(f"{file}: cannot be read: {error.strerror}") from None
    except ArithmeticError:
        raise ConfigError(f"{file}: not valid TOML: a number is out of range") from None
    except ValueError as error:  # Bad TOML, bytes that are not UTF-8, or thousands of digits.
        raise ConfigError(f"{file}: not valid TOML: {error}") from None


def _profile_mistakes(profiles: object) -> list[str]:
    """Say what is wrong with the shape of the profiles, the one that is used or not."""
    if not isinstance(profiles, dict):
        return [f"profiles: expected tables named [profiles.NAME] (found {profiles!r})"]
    mistakes = []
    for name, profile in profiles.items():
        if not isinstance(profile, dict):
            mistakes.append(f"[profiles] {name}: expected a table (found {profile!r})")
        elif "profiles" in profile:
            mistakes.append(f"[profiles.{name}] profiles: a profile cannot hold profiles")
    return mistakes


def _names(scenarios: object) -> list[str]:
    return list(scenarios) if isinstance(scenarios, dict) else []


def _expand_star(tables: Tables, names: list[str]) -> Tables:
    """Give every scenario what [scenarios."*"] says, unless the scenario says otherwise.

    `names` are scenarios that are known from elsewhere. What is no table stays, to be complained of.
    """
    scenarios = tables.get("scenarios")
    if not isinstance(scenarios, dict) or not isinstance(scenarios.get("*"), dict):
        return tables
    star = scenarios["*"]
    expanded: Tables = {}
    for name in dict.fromkeys([*names, *scenarios]):
        own = scenarios.get(name, {})
        expanded[name] = {**star, **own} if isinstance(own, dict) else own
    del expanded["*"]
    return {**tables, "scenarios": expanded}


def overlay(tables: Tables, profile: Tables) -> Tables:
    """Merge a profile over the tables, table by table."""
    merged = dict(tables)
    for key, value in profile.items():
        known = merged.get(key)
        if isinstance(value, dict) and isinstance(known, dict):
            merged[key] = overlay(known, value)
        else:
            merged[key] = value
    return merged
