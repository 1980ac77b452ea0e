"""safety.toml -> Config: read, overlay the profile, validate, check the tables together."""

from __future__ import annotations

import tomllib
from collections.abc import Iterable
from decimal import Decimal
from pathlib import Path

from pydantic import ValidationError

from safemlrm.config.candidates import Tables, Weights, with_tables, with_weights
from safemlrm.config.checks import contradictions
from safemlrm.config.messages import NOT_KEYS, explain, suggest, unknown_key
from safemlrm.config.schema import Config, Gate, Limits
from safemlrm.errors import ConfigError

GLOBS = ("pair", "scenario", "attack")


def load_config(
    file: Path,
    profile: str | None = None,
    candidates: Path | None = None,
    weights: Iterable[Weights] = (),
) -> Config:
    """Read safety.toml and overlay one of its profiles.

    `candidates` is another safety.toml that says what the pairs' candidates are, and nothing else;
    `weights` are theirs whatever the files and the profile say.
    Raises `ConfigError` with one line per mistake: what, where, what was expected.
    """
    tables = read_tables(file)
    if candidates is not None:
        tables = with_tables(tables, read_tables(candidates), candidates)
    profiles = tables.pop("profiles", {})
    _refuse(file, _profile_mistakes(profiles))
    tables = _expand_star({"scenarios": {}, **tables}, [])
    left_out = 0
    if profile is not None:
        if profile not in profiles:
            raise ConfigError(
                f"{file}: there is no [profiles.{profile}]{suggest(profile, profiles)}"
            )
        expanded = _expand_star(profiles[profile], _names(tables.get("scenarios")))
        left_out = _left_out(tables, expanded)
        tables = overlay(tables, expanded)
    tables = with_weights(tables, weights, file.resolve().parent)
    _refuse(file, [unknown_key(key) for key in NOT_KEYS if key in tables])
    try:
        config = Config(**tables, file=file.resolve(), profile=profile, left_out=left_out)
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
    """Merge a profile over the tables, table by table; a list replaces the list that was there."""
    merged = dict(tables)
    for key, value in profile.items():
        known = merged.get(key)
        if isinstance(value, dict) and isinstance(known, dict):
            merged[key] = overlay(known, value)
        else:
            merged[key] = value
    return merged


def _left_out(tables: Tables, profile: Tables) -> int:
    """Count the file's overrides that a profile replaces, and of which its own do not say all."""
    own = _overrides(profile)
    if own is None:
        return 0
    said = {each for override in own for each in _said(override)}
    return sum(not _said(override) <= said for override in _overrides(tables) or ())


def _overrides(tables: Tables) -> list[Tables] | None:
    """Return the overrides of some tables, None without a list; what is none of them is told later."""
    limits = tables.get("limits")
    found = limits.get("override") if isinstance(limits, dict) else None
    return [each for each in found if isinstance(each, dict)] if isinstance(found, list) else None


def _said(override: Tables) -> set[tuple[str, ...]]:
    """Return which keys an override gives, each with the globs of what it gives them for."""
    globs = [str(override.get(key, "*")) for key in GLOBS]
    return {(*globs, key) for key in override.keys() - {*GLOBS, "reason"}}
