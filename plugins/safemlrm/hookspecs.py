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


def pytest_safemlrm_defences() -> Mapping[str, str]:
    """Return decoding defences of your own by the name that `defence = { kind = "NAME" }` selects.

    Each is a place, "module:attribute", since it is imported where the model runs: what lies there is
    called with `(network, tokenizer, weights, **options)` and returns an object with
    `rescore(scores, hidden, ids)` (`safemlrm.engines.defence.Rescorer`). A conftest.py cannot be
    imported by name, so the module is another file on the import path.
    """
    raise NotImplementedError


def pytest_safemlrm_prompts() -> Mapping[str, Sequence[Prompt]]:
    """Return prompts of your own by the name that `source = "NAME"` selects.

    Ids are unique in their sequence, and all of its prompts expect the same ("refuse", "help", or
    "choose", which needs `options` and `correct`).
    The scenario that asks them gives its own slug; leave `Prompt.scenario` blank.
    """
    raise NotImplementedError
