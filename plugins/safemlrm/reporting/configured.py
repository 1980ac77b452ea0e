"""What reports say of the configuration: pairs, scenarios, attacks, weights, and what was not decided."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import PurePath
from typing import Any

from safemlrm.audit import spelled
from safemlrm.config import Config, Model
from safemlrm.family import Family
from safemlrm.matrix import Matrix
from safemlrm.prompts import Scenario
from safemlrm.reporting.record import Record


def configured(config: Config, matrix: Matrix) -> dict[str, Any]:
    """Return the pairs with their models, the scenarios with their prompts, the attacks by digest."""
    return {
        "pairs": {
            name: {"base": pair.base, "candidate": pair.candidate, "change": pair.change}
            for name, pair in sorted(config.pairs.items())
        },
        "scenarios": {slug: _scenario(scenario) for slug, scenario in matrix.scenarios.items()},
        "attacks": {slug: attack.digest for slug, attack in matrix.attacks.items()},
        "dropped": dict(matrix.dropped),
    }


def _scenario(scenario: Scenario) -> dict[str, Any]:
    place = PurePath(scenario.source)
    return {
        "expectation": scenario.expectation,
        "prompts": scenario.planned,
        # Where a file lies on somebody's disk is nobody else's business.
        "source": place.name if place.is_absolute() else scenario.source,
    }


def weights_of(config: Config) -> dict[str, str]:
    """Return which weights each model is configured to have, or the name it is served under.

    Models that name neither are left out. An address is never shown.
    """
    named = ((name, _weights(model)) for name, model in config.models.items())
    return {name: spelled(text) for name, text in named if text}


def _weights(model: Model) -> str:
    if model.path is None:
        return model.model or ""
    path = _ending(model.path) + (f"@{model.revision}" if model.revision else "")
    return f"{_ending(model.adapter)} on {path}" if model.adapter else path


def _ending(path: str) -> str:
    """Return a path as it is configured, of an absolute one the end: enough to tell checkpoints apart."""
    place = PurePath(path)
    return f".../{'/'.join(place.parts[1:][-2:])}" if place.is_absolute() else path


def not_run(records: Iterable[Record], families: Mapping[str, Family]) -> list[dict[str, str]]:
    """Return every configured hypothesis that was not decided, selected or not."""
    decided = {(*record.subject, record.metric) for record in records}
    names = ("pair", "scenario", "attack", "metric")
    hypotheses = (h for _, family in sorted(families.items()) for h in family.hypotheses)
    asked = (
        (h.subject.pair, h.subject.scenario, h.subject.attack, h.metric.name) for h in hypotheses
    )
    return [dict(zip(names, key, strict=True)) for key in asked if key not in decided]
