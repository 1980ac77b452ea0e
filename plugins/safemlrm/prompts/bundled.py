"""The bundled catalogue: short questions at category level, one TOML file a scenario.

A file lists groups of key phrases and wordings; each wording is asked with each phrase. Ids number
the prompts in the order of the file, so new lines go at the end.
"""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from functools import lru_cache
from importlib.resources import files

from safemlrm.config import suggest
from safemlrm.errors import ConfigError
from safemlrm.prompts import choice
from safemlrm.prompts.rows import Asked, Loaded
from safemlrm.types import Expectation, Prompt, Turn

LICENCE = "Apache-2.0"


@dataclass(frozen=True, slots=True)
class BundledScenario:
    """What the catalogue says about one scenario."""

    slug: str
    policy: str
    expectation: Expectation
    prompts: tuple[Prompt, ...]

    @property
    def phrases(self) -> tuple[str, ...]:
        """The key phrases, each once, in the order of the file."""
        return tuple(dict.fromkeys(prompt.phrase for prompt in self.prompts))


@lru_cache(maxsize=1)
def bundled_scenarios() -> dict[str, BundledScenario]:
    """Return the catalogue by slug, in alphabetical order."""
    folder = files("safemlrm.prompts") / "catalogue"
    names = sorted(entry.name for entry in folder.iterdir() if entry.name.endswith(".toml"))
    return {slug: _load(slug) for slug in (name.removesuffix(".toml") for name in names)}


def bundled_prompts(scenario: str) -> tuple[Prompt, ...]:
    """Return the prompts of one bundled scenario; KeyError if the catalogue has none."""
    return bundled_scenarios()[scenario].prompts


def load(asked: Asked) -> Loaded:
    """Return a scenario of the catalogue; `ConfigError` when it has none of this name."""
    if asked.slug == choice.MULTIPLE_CHOICE:
        return choice.load(asked)
    catalogue = bundled_scenarios()
    if asked.slug not in catalogue:
        known = (*catalogue, choice.MULTIPLE_CHOICE)
        raise ConfigError(f"is not in the bundled catalogue{suggest(asked.slug, known)}")
    found = catalogue[asked.slug]
    return Loaded(found.prompts, LICENCE, found.expectation, found.policy)


def _load(slug: str) -> BundledScenario:
    text = (files("safemlrm.prompts") / "catalogue" / f"{slug}.toml").read_text("utf-8")
    table = tomllib.loads(text)
    pairs = [
        (phrase, wording)
        for group in table["groups"]
        for phrase in group["phrases"]
        for wording in group["wordings"]
    ]
    prompts = tuple(
        Prompt(
            id=f"{table['prefix']}-{number:03}",
            scenario=slug,
            turns=(Turn(wording.format(phrase=phrase)),),
            phrase=phrase,
            expectation=table["expectation"],
        )
        for number, (phrase, wording) in enumerate(pairs, start=1)
    )
    return BundledScenario(slug, table["policy"], table["expectation"], prompts)
