"""A scenario as a run asks it: policy, expectation and its prompts in seeded order."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from hashlib import sha256

from safemlrm.config import Config, suggest
from safemlrm.errors import ConfigError
from safemlrm.prompts.bundled import bundled_scenarios
from safemlrm.prompts.order import seeded_order
from safemlrm.types import Expectation, Prompt


@dataclass(frozen=True)
class Scenario:
    """The prompts of one harm area; the first `planned` of `pool` are asked.

    The whole pool is in seeded order, so a smaller profile asks a prefix of what a larger one asks.
    """

    slug: str
    policy: str
    expectation: Expectation
    pool: tuple[Prompt, ...]
    planned: int

    @property
    def prompts(self) -> tuple[Prompt, ...]:
        """The prompts this configuration asks, in order."""
        return self.pool[: self.planned]

    @cached_property
    def digest(self) -> str:
        """Identifies the pool: order, ids, texts, images."""
        content = [
            (
                p.id,
                p.phrase,
                p.expectation,
                [(t.text, [i.digest for i in t.images]) for t in p.turns],
            )
            for p in self.pool
        ]
        return sha256(repr(content).encode()).hexdigest()


def load_scenario(config: Config, slug: str) -> Scenario:
    """Return one configured scenario.

    Raises `ConfigError` when its source does not have it or has fewer prompts than are asked for.
    """
    settings = config.scenarios[slug]
    catalogue = bundled_scenarios()
    if slug not in catalogue:
        raise ConfigError(
            f"{config.file}: [scenarios.{slug}] is not in the bundled catalogue"
            f"{suggest(slug, catalogue)}"
        )
    bundled = catalogue[slug]
    planned = settings.prompts or len(bundled.prompts)
    if planned > len(bundled.prompts):
        raise ConfigError(
            f"{config.file}: [scenarios.{slug}] prompts = {planned}, "
            f"but the bundled catalogue has {len(bundled.prompts)}"
        )
    pool = seeded_order(bundled.prompts, slug, config.gate.seed)
    return Scenario(slug, bundled.policy, bundled.expectation, pool, planned)


def load_scenarios(config: Config) -> dict[str, Scenario]:
    """Return every configured scenario by slug, in alphabetical order."""
    return {slug: load_scenario(config, slug) for slug in sorted(config.scenarios)}
