"""What takes the place of safety.toml's candidates: another file's tables, or weights by name."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from safemlrm.config.messages import suggest
from safemlrm.config.model import LOCAL
from safemlrm.errors import ConfigError

Tables = dict[str, Any]
NAMED = re.compile(r"([\w-]*)=(.*)", re.DOTALL)
"""What begins with a word and = names a candidate; a path that does so is written ./lr=1e-5."""
HUB = re.compile(r"[\w-][\w.-]*/[\w-][\w.-]*(/[\w-][\w.-]*\.gguf)?")
"""What may be an id of the hub, or a file of one; only that has revisions."""
ELSEWHERE = ("organism:", "~")
"""Begins what is no path from some folder."""


@dataclass(frozen=True, slots=True)
class Weights:
    """A candidate's weights as the command line gives them.

    `said` is the option as it was written, `name` is None where there is but one candidate to mean,
    and relative paths start at `start`.
    """

    said: str
    name: str | None
    text: str
    start: Path


def read_weights(option: str, values: Iterable[str], start: Path) -> list[Weights]:
    """Read NAME=WEIGHTS or WEIGHTS of each value of an option; `ConfigError` where either is empty."""
    found = []
    for value in values:
        said, named = f"{option} {value!r}", NAMED.fullmatch(value)
        name, text = named.groups() if named else (None, value)
        if name == "":
            raise ConfigError(f"{said}: expected the name of a candidate before =")
        if not text.strip():
            raise ConfigError(
                f"{said}: expected NAME=WEIGHTS, where WEIGHTS is a folder, a .gguf file, an id of the "
                "hub, or a served model's name"
            )
        found.append(Weights(said, name, text, start))
    return found


def with_tables(tables: Tables, there: Tables, other: Path) -> Tables:
    """Put another file's tables of the pairs' candidates in the place of those that are here.

    What has no shape of tables stays, to be complained of.
    """
    here, known = tables.get("models"), there.get("models")
    named = _candidates(tables)
    if not isinstance(here, dict):
        return tables
    known = known if isinstance(known, dict) else {}
    lacking = [
        f"[models.{model}], the candidate of [pairs.{pair}]"
        for model, pair in named.items()
        if model not in known
    ]
    if lacking:
        raise ConfigError(
            f"{other}: there is no {lacking[0]}; a candidate keeps its name, so write its table here"
        )
    return {**tables, "models": here | {model: known[model] for model in named}}


def with_weights(tables: Tables, given: Iterable[Weights], folder: Path) -> Tables:
    """Replace the weights of candidates and nothing else of their tables.

    `folder` is that of safety.toml. What has no shape of tables stays, to be complained of.
    """
    models, named = tables.get("models"), _candidates(tables)
    if not isinstance(models, dict) or not named:
        return tables
    replaced: Tables = {}
    for weights in given:
        name = _name(weights, models, named)
        if name in replaced:
            raise ConfigError(
                f"{weights.said}: [models.{name}] was given weights before; give them once"
            )
        if isinstance(models.get(name), dict):
            replaced[name] = _replaced(weights, name, models[name], folder)
    return {**tables, "models": models | replaced}


def _candidates(tables: Tables) -> dict[str, str]:
    """Return the name of each candidate and of a pair that it is in."""
    pairs = tables.get("pairs")
    return {
        pair["candidate"]: name
        for name, pair in (pairs.items() if isinstance(pairs, dict) else ())
        if isinstance(pair, dict) and isinstance(pair.get("candidate"), str)
    }


def _name(weights: Weights, models: Tables, named: Mapping[str, str]) -> str:
    """Return which candidate is meant."""
    if weights.name is None and len(named) == 1:
        return next(iter(named))
    if weights.name is None:
        raise ConfigError(
            f"{weights.said}: there are {len(named)} candidates ({', '.join(sorted(named))}); write "
            "NAME=WEIGHTS"
        )
    if weights.name in named:
        return weights.name
    if weights.name in models:
        raise ConfigError(
            f"{weights.said}: [models.{weights.name}] is no pair's candidate, and a base or a judge is "
            "not replaced from the command line; write its table in safety.toml (candidates: "
            f"{', '.join(sorted(named))})"
        )
    raise ConfigError(
        f"{weights.said}: there is no [models.{weights.name}]{suggest(weights.name, named)}"
    )


def _replaced(weights: Weights, name: str, table: Tables, folder: Path) -> Tables:
    """Return a candidate's table with other weights.

    Where it has an adapter, that is what its training writes; `path` is what it was trained on.
    """
    engine = table.get("engine", LOCAL[0])
    if engine == "openai":
        return {**table, "model": weights.text}
    if engine not in LOCAL:
        raise ConfigError(
            f'{weights.said}: [models.{name}] has engine = "{engine}", which has no weights to replace'
        )
    path, revision = _revised(weights)
    path = _placed(path, weights.start, folder)
    if "adapter" not in table:
        rest = {key: value for key, value in table.items() if key != "revision"}
        return {**rest, "path": path, **({"revision": revision} if revision else {})}
    if revision:
        raise ConfigError(
            f"{weights.said}: this is the adapter of [models.{name}], and an adapter takes no revision; "
            "download that revision and name its folder"
        )
    return {**table, "adapter": path}


def _revised(weights: Weights) -> tuple[str, str]:
    """Return the weights and their revision: "" of what has none, as a folder with "@" in its name."""
    path, at, revision = weights.text.partition("@")
    if not at or not HUB.fullmatch(path) or os.path.exists(weights.start / weights.text):
        return weights.text, ""
    if not revision:
        raise ConfigError(f"{weights.said}: expected a revision after @")
    if os.path.exists(weights.start / path):
        raise ConfigError(
            f"{weights.said}: {path} lies here and has no revision; leave @{revision} out"
        )
    return path, revision


def _placed(path: str, start: Path, folder: Path) -> str:
    """Return a path as safety.toml would have it, so that a replay elsewhere finds the same words."""
    if _elsewhere(path) and not os.path.exists(start / path):
        return path
    inside = os.path.relpath(start.resolve() / path, folder)
    if inside.startswith("..") and path.startswith("/"):
        return path
    # Without the dot a folder that is gone would be looked for at the hub.
    return f"./{inside}" if _elsewhere(inside) and path != inside else inside


def _elsewhere(path: str) -> bool:
    return bool(HUB.fullmatch(path)) or path.startswith(ELSEWHERE)
