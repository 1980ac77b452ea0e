"""Takes out of a server's words what must not be repeated: keys in any form, and the prompt."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterable

from safemlrm.config import Model
from safemlrm.errors import EngineError

LONGEST = 200
# A shorter text cannot be a key, and would be found in any sentence.
SHORTEST = 4
# So many characters in a row that stand in a prompt are taken for a part of it.
RUN = 20
READ = 20_000
"""So much of a server's words is looked at."""


class Scrubber:
    """Knows the secrets of one model's addresses; it has no `repr` that would show them."""

    def __init__(self, secrets: Iterable[str]) -> None:
        forms = {form for secret in secrets for form in (secret, json.dumps(secret)[1:-1])}
        known = sorted((f for f in forms if len(f) >= SHORTEST), key=len, reverse=True)
        self._pattern = re.compile("|".join(map(re.escape, known)) or r"(?!)")

    def clean(self, text: str, prompt: Iterable[str] = ()) -> str:
        """Return a line of at most LONGEST printable characters without secrets and prompt texts."""
        text = self._pattern.sub("***", text)[:READ]
        for part in sorted(prompt, key=len, reverse=True):
            forms = (part, json.dumps(part)[1:-1], json.dumps(part, ensure_ascii=False)[1:-1])
            for form in dict.fromkeys(forms):
                text = _without(text, form)
        text = " ".join("".join(c if c.isprintable() else " " for c in text).split())
        return text if len(text) <= LONGEST else f"{text[:LONGEST]}..."


def _without(text: str, part: str) -> str:
    """Take a prompt's text out, also where a server repeats only a piece of it."""
    if len(part) < RUN:
        return text.replace(part, "[prompt]") if len(part) >= SHORTEST else text
    runs = {part[at : at + RUN] for at in range(len(part) - RUN + 1)}
    kept: list[str] = []
    at = 0
    while at < len(text):
        end = at
        while text[end : end + RUN] in runs:
            end += 1
        kept.append("[prompt]" if end > at else text[at])
        at = end + RUN - 1 if end > at else at + 1
    return "".join(kept)


def key_of(model: Model) -> str:
    """Return the key of a model's server from the environment; empty where none is set.

    Raises `EngineError` for one that no header can carry.
    """
    key = os.environ.get(model.key_env, "").strip()
    if not key.isascii() or not key.isprintable():
        raise EngineError(
            f"the environment variable {model.key_env} does not hold a key: it has characters that "
            "no key has; set it again"
        )
    return key


def scrubber_of(model: Model) -> Scrubber:
    """Return what cleans the words of a model's servers."""
    secrets = {secret for url in model.url or () for secret in url.secrets}
    return Scrubber({*secrets, key_of(model)})
