"""The seeded order in which a scenario's prompts are asked."""

from __future__ import annotations

from collections.abc import Sequence
from hashlib import sha256
from random import Random

from safemlrm.types import Prompt


def seeded_order(prompts: Sequence[Prompt], scenario: str, seed: int) -> tuple[Prompt, ...]:
    """Return the prompts in the one random order all attacks, models and builds share.

    Early decisions read a prefix of this order, so it depends on the scenario and the seed alone.
    """
    digest = sha256(f"order/{seed}/{scenario}".encode()).digest()
    return tuple(Random(int.from_bytes(digest[:8])).sample(list(prompts), len(prompts)))
