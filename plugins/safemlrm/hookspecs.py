"""The hooks a user's conftest.py or plugin may have: each returns name -> object, and nothing else."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from safemlrm.types import Attack, Prompt


def pytest_safemlrm_attacks() -> Mapping[str, Attack]:
    """Return attacks of your own by the name that `[attacks.NAME]` or `kind = "NAME"` selects.

    The object has a `digest`, a text that changes whenever its attacked prompts do, and
    `apply(prompt, seed)`, which returns another prompt of the same id, scenario, phrase and
    expectation. Equal prompts and seeds have to give equal results, in every process.
    """
    raise NotImplementedError


def pytest_safemlrm_prompts() -> Mapping[str, Sequence[Prompt]]:
    """Return prompts of your own by the name that `source = "NAME"` selects.

    Ids are unique in their sequence, and all of its prompts expect the same ("refuse", "help", or
    "choose", which needs `options` and `correct`).
    The scenario that asks them gives its own slug; leave `Prompt.scenario` blank.
    """
    raise NotImplementedError
