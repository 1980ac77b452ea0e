"""Limits as the TOML a user pastes into safety.toml (pure)."""

from __future__ import annotations

import json
import re
import tomllib
from collections.abc import Iterator
from decimal import Decimal
from fractions import Fraction

from safemlrm.config import Config, MetricLimits, Override
from safemlrm.config.candidates import Tables
from safemlrm.config.load import overlay
from safemlrm.config.schema import Limits

BARE = re.compile(r"[A-Za-z0-9_-]+")


def block(config: Config) -> str:
    """Return the whole [limits] of a configuration, of its profile if it has one."""
    name = config.profile
    table = (
        "limits" if name is None else f"profiles.{name if _is_bare(name) else _text(name)}.limits"
    )
    limits = config.limits
    lines = [f"[{table}]", f"channel = {_text(limits.channel)}", *_rates(limits)]
    if limits.judge_kappa is not None:
        lines.append(f"judge_kappa = {_rate(limits.judge_kappa)}")
    if name is not None and not limits.override:
        lines.append("override = []")  # or the file's own would stay
    for override in limits.override:
        lines += ["", f"[[{table}.override]]", *_override(override)]
    return "\n".join(lines) + "\n"


def read_back(text: str, tables: Tables, profile: str | None) -> Limits:
    """Return the limits of a file's tables, or of its profile, once a block replaced what is there.

    Raises ValueError or LookupError where they could not be read.
    """
    pasted: Tables = tomllib.loads(text, parse_float=Decimal)
    if profile is not None:
        limits = {"limits": pasted["profiles"][profile]["limits"]}
        pasted = overlay({"limits": tables.get("limits", {})}, limits)
    return Limits.model_validate(pasted["limits"])


def _is_bare(key: str) -> bool:
    return BARE.fullmatch(key) is not None


def _override(override: Override) -> Iterator[str]:
    for key in ("pair", "scenario", "attack"):
        glob = getattr(override, key)
        if glob != "*":
            yield f"{key} = {_text(glob)}"
    yield from _rates(override)
    if override.saturated:
        yield "saturated = true"
    yield f"reason = {_text(override.reason)}"


def _rates(table: MetricLimits) -> Iterator[str]:
    for name in MetricLimits.model_fields:
        value = getattr(table, name)
        if isinstance(value, Fraction):
            yield f"{name} = {_rate(value)}"
        elif value is not None:
            way = "at_most" if value.at_most is not None else "at_least"
            yield f"{name} = {{ {way} = {_rate(getattr(value, way))} }}"


def _rate(value: Fraction) -> str:
    """Write a rate so that it is read as the same fraction: as a decimal, else as "1/3"."""
    decimal = Decimal(value.numerator) / value.denominator
    if Fraction(decimal) != value:
        return f'"{value}"'
    text = f"{decimal:f}"
    return text if "." in text else f"{text}.0"


def _text(value: str) -> str:
    # A JSON string is a TOML string, but for one control character that only TOML wants escaped.
    return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
