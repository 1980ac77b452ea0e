"""Which response of a prompt is which: the first, the two that confirm, and the further ones (pure)."""

from __future__ import annotations

FIRST_RESPONSE = 0
"""The number of the response that every run asks and every metric reads."""
FRESH = (1, 2)
"""The numbers of the responses that settle what noise left open; nothing else reads them."""


def further(responses: int) -> tuple[int, ...]:
    """Return the numbers of a prompt's responses beyond its first, for so many in all."""
    return tuple(range(FRESH[-1] + 1, FRESH[-1] + responses))
