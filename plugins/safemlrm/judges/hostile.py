"""Text by strangers inside a judge's question: fenced by marks that it cannot know, made visible."""

from __future__ import annotations

import unicodedata
from hashlib import sha256

INVISIBLE = frozenset({"Cf", "Cc", "Cs", "Co", "Cn"})
KEPT = frozenset("\n\t")


def fenced(label: str, text: str) -> str:
    """Return a text between two lines that name it and carry a mark computed from the text itself.

    A text that closes its own fence would have to hold its own hash. Invisible characters, which
    could hide words from a person or split them for a model, are removed.
    """
    shown = visible(text)
    mark = sha256(f"{label}\n{shown}".encode()).hexdigest()[:20]
    return f"[[{label} {mark}]]\n{shown}\n[[end of {label} {mark}]]"


def visible(text: str) -> str:
    """Return a text without control, format, private and unassigned characters but line breaks and tabs."""
    return "".join(c for c in text if c in KEPT or unicodedata.category(c) not in INVISIBLE)
