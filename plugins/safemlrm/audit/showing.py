"""A model's text on a terminal: nothing in it moves the cursor, hides a word or looks like our own lines."""

from __future__ import annotations

import unicodedata

UNSEEN = frozenset({"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"})


def shown(text: str) -> list[str]:
    """Return a text as lines behind a bar, what is invisible in it spelled out as an escape.

    Escape sequences, reversed writing and zero-width characters would show a person another text
    than the judge read.
    """
    return [f"| {''.join(map(_seen, line))}" for line in text.split("\n")]


def spelled(text: str) -> str:
    """Return a name from a data set as one line that shows every character in it."""
    return "".join(map(_seen, text))


def spelled_lines(text: str) -> str:
    """Return a text of our own that quotes strangers: line by line, every character shows."""
    return "\n".join(map(spelled, text.split("\n")))


def _seen(character: str) -> str:
    if unicodedata.category(character) not in UNSEEN:
        return character
    return character.encode("unicode_escape").decode("ascii")
