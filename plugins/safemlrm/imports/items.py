"""What every source is read into: one model's responses, with scores where the source has them."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import astuple, dataclass
from hashlib import sha256
from typing import Literal

from safemlrm.config.values import SLUG
from safemlrm.errors import ConfigError
from safemlrm.types import Score

Finish = Literal["stop", "length", "filter"]
TRACE = "</think>"


@dataclass(frozen=True, slots=True)
class Item:
    """One response to one question; `text` is None where the source has none, which is no answer.

    `attack` names what the question had gone through before it was asked.
    """

    scenario: str
    attack: str
    id: str
    question: str
    text: str | None
    finish: Finish = "stop"
    score: Score | None = None


@dataclass(frozen=True)
class Answered:
    """All responses of one model; `notes` say what of the source was left out."""

    model: str
    items: tuple[Item, ...]
    notes: tuple[str, ...] = ()

    @property
    def digest(self) -> str:
        """Identifies what was imported: other responses or scores are another model's here."""
        text = json.dumps([astuple(item) for item in self.items], ensure_ascii=True)
        return sha256(text.encode()).hexdigest()[:16]

    @property
    def traced(self) -> bool:
        """Whether the model reasons: a trace is in a text, or reasonings were scored apart."""
        return any(
            TRACE in (item.text or "")
            or (item.score is not None and item.score.reasoning is not None)
            for item in self.items
        )


def answered(model: str, items: Sequence[Item], notes: Sequence[str] = ()) -> Answered:
    """Return a model's responses; `ConfigError` for none, two under one id, and names that are no slugs."""
    if not items:
        raise ConfigError(f"{model}: the source holds no response; name another file or model")
    for name in {name for item in items for name in (item.scenario, item.attack)}:
        if not re.fullmatch(SLUG, name):
            raise ConfigError(
                f"{name!r} is not a valid name; use a-z, 0-9 and _ and start with a letter"
            )
    seen: set[tuple[str, str, str]] = set()
    for item in items:
        place = (item.scenario, item.attack, item.id)
        if place in seen:
            raise ConfigError(
                f"{model}: {item.scenario} / {item.attack} has two responses to {item.id}; keep one"
            )
        seen.add(place)
    return Answered(model, tuple(items), tuple(notes))


def slug(name: str) -> str:
    """Return a name as safety.toml takes it; `ConfigError` for one without a letter or digit."""
    plain = re.sub(r"[^a-z0-9]+", "_", name.lower()).strip("_")
    if not plain:
        raise ConfigError(f"{name!r} has no letter to make a name of; rename it")
    return plain if plain[0].isalpha() else f"m_{plain}"
