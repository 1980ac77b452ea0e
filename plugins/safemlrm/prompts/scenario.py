"""A scenario as a run asks it: policy, expectation and its prompts in seeded order."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from hashlib import sha256

from safemlrm.config import Config
from safemlrm.errors import ConfigError
from safemlrm.prompts import sources
from safemlrm.prompts.bundled import bundled_scenarios
from safemlrm.prompts.order import seeded_order
from safemlrm.prompts.rows import Asked, Loaded
from safemlrm.types import Expectation, Prompt, Turn

LOG = logging.getLogger(__name__)
Owned = Mapping[str, Sequence[Prompt]]
"""Prompts that hooks added, by the name of their source."""


@dataclass(frozen=True)
class Scenario:
    """The prompts of one harm area; the first `planned` of `pool` are asked.

    The whole pool is in seeded order, so a smaller profile asks a prefix of what a larger one asks.
    `dropped` rows were left out for a missing picture, as the user allowed.
    """

    slug: str
    policy: str
    expectation: Expectation
    pool: tuple[Prompt, ...]
    planned: int
    source: str = "bundled"
    licence: str = ""
    dropped: int = 0

    @property
    def prompts(self) -> tuple[Prompt, ...]:
        """The prompts this configuration asks, in order."""
        return self.pool[: self.planned]

    @cached_property
    def digest(self) -> str:
        """Identifies the pool: order, ids, texts, images, other wordings, what answers begin with."""
        content = [
            (
                p.id,
                p.phrase,
                p.expectation,
                p.language,
                [_content(turn) for turn in p.turns],
                [(name, _content(form)) for name, form in sorted(p.forms.items())],
                *([p.prefill] if p.prefill else []),
                *([p.options, p.correct] if p.options else []),
            )
            for p in self.pool
        ]
        return sha256(repr(content).encode()).hexdigest()


@dataclass(frozen=True, slots=True)
class Description:
    """What a user should know of a scenario's data before a model is asked."""

    slug: str
    source: str
    count: int
    pool: int
    expectation: Expectation
    licence: str
    digest: str
    dropped: int = 0


def describe(scenarios: Iterable[Scenario]) -> list[Description]:
    """Return a line about each scenario; `count` is how many of the pool are asked."""
    return [
        Description(
            s.slug, s.source, s.planned, len(s.pool), s.expectation, s.licence, s.digest, s.dropped
        )
        for s in scenarios
    ]


def load_scenario(config: Config, slug: str, owned: Owned | None = None) -> Scenario:
    """Return one configured scenario.

    Raises `ConfigError` when its source does not have it, is broken, or has fewer prompts than are
    asked for.
    """
    table = config.scenarios[slug]
    try:
        return _scenario(Asked(slug, table, config.folder), config.gate.seed, owned or {})
    except ConfigError as error:
        raise ConfigError(f"{config.file}: [scenarios.{slug}] {error}") from None


def load_scenarios(config: Config, owned: Owned | None = None) -> dict[str, Scenario]:
    """Return every configured scenario by slug, in alphabetical order."""
    return {slug: load_scenario(config, slug, owned) for slug in sorted(config.scenarios)}


def _scenario(asked: Asked, seed: int, owned: Owned) -> Scenario:
    loaded = sources.load(asked, owned)
    table, found = asked.table, len(loaded.prompts)
    planned = table.prompts or found
    if planned > found:
        where = "the bundled catalogue" if table.source == "bundled" else table.source
        raise ConfigError(f"prompts = {planned}, but {where} has {found}")
    if loaded.dropped:
        LOG.warning("[scenarios.%s] %d rows without picture dropped", asked.slug, loaded.dropped)
    expectation = _expectation(asked, loaded)
    if (expectation == "choose") != all(prompt.options for prompt in loaded.prompts):
        raise ConfigError(
            'expectation = "choose" goes with multiple-choice prompts, which have options, and with no '
            "others; take the bundled multiple_choice, name columns.options and columns.correct of a "
            "table, or give Prompt(options=..., correct=...) by a hook"
        )
    source = f"{table.source}@{table.revision}" if table.revision else table.source
    prompts = [
        replace(p, expectation=expectation, language=table.language or p.language, source=source)
        for p in loaded.prompts
    ]
    return Scenario(
        slug=asked.slug,
        policy=_policy(asked, loaded, expectation),
        expectation=expectation,
        pool=seeded_order(prompts, asked.slug, seed),
        planned=planned,
        source=source,
        licence=table.licence or loaded.licence,
        dropped=loaded.dropped,
    )


def _expectation(asked: Asked, loaded: Loaded) -> Expectation:
    """Return what a model should do; it is never guessed, for a wrong guess gates the opposite."""
    if asked.table.expectation and asked.table.columns.expectation:
        raise ConfigError(
            "expectation and columns.expectation both say what is expected; leave one out"
        )
    known = bundled_scenarios().get(asked.slug)
    said = asked.table.expectation or loaded.expectation or (known and known.expectation)
    if not said:
        raise ConfigError(
            'expectation is missing; write expectation = "refuse" for harmful questions, "help" for '
            "harmless ones, or name a column of it"
        )
    return said


def _policy(asked: Asked, loaded: Loaded, expectation: Expectation) -> str:
    """Return what a judge reads of the area: the user's words, the data set's, or the catalogue's."""
    catalogue = bundled_scenarios()
    known = catalogue.get(asked.area) or catalogue.get(asked.slug)
    if said := asked.table.policy or loaded.policy:
        return said
    if known and known.expectation == expectation:
        return known.policy
    area = asked.slug.replace("_", " ")
    if expectation == "help":
        return f"Harmless questions ({area}); a helpful answer is expected."
    if expectation == "choose":
        return f"Questions with one right answer among the options ({area})."
    return f"Helps with what is harmful about {area}."


def _content(turn: Turn) -> tuple[str, list[str]]:
    return turn.text, [image.digest for image in turn.images]
