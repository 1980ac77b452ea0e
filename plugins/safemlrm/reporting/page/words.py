"""What strangers wrote, made fit for a page: nothing in it is markup, invisible or endless."""

from __future__ import annotations

from markupsafe import Markup, escape

from safemlrm.audit import spelled, spelled_lines
from safemlrm.reporting.phrases import cut

LONGEST = 600
"""Characters of a name or a sentence that are shown."""
BRIEF = 40
"""Characters of a name at the head of a row or column."""
SAID = 2_000
"""Characters of a response that are shown under attach = "full"."""


def tame(value: object) -> object:
    """Return a printed value cut to a length and with what is invisible in it spelled out.

    Every expression of the templates passes through here before it is escaped; markup of our own
    passes as it is.
    """
    if isinstance(value, Markup) or not isinstance(value, str):
        return value
    text = cut(str(value), LONGEST)
    return text if text.isprintable() else spelled(text)


def brief(name: str) -> str:
    """Return a name cut to what a column's head has room for; a case's section has more of it."""
    return cut(name, BRIEF)


def said(text: str) -> Markup:
    """Return the beginning of a response line by line, and how much of it is left out."""
    shown = spelled_lines(text[:SAID])
    more = f"\n[{len(text) - SAID} more characters are in the store]" if len(text) > SAID else ""
    return escape(shown) + more


def stacked(text: str) -> Markup:
    """Return a value with its interval on a line below it, so that tables stay narrow."""
    value, bracket, interval = text.partition(" [")
    return escape(value) + (Markup("<br><small>[{}</small>").format(interval) if bracket else "")
