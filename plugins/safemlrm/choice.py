"""How likely a model finds each option of a multiple-choice question (standard library only).

An engine writes the probabilities as a completion's text (`engines/options.py`); here it is read.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from math import isfinite, log

CHOSEN = "chosen"
"""The path of a score for a response that is one of the options."""
NO_OPTION = "no option"
LEAST = 0.5
"""With less probability on all options together a model is about to write something else."""


@dataclass(frozen=True, slots=True)
class Choice:
    """The probabilities of the options, scaled to sum to 1."""

    shares: tuple[float, ...]

    @property
    def option(self) -> int:
        """The place of the most likely option, the first of equal ones."""
        return self.shares.index(max(self.shares))

    @property
    def confidence(self) -> float:
        """The probability of the most likely option."""
        return max(self.shares)

    @property
    def entropy(self) -> float:
        """Between 0, all on one option, and 1, all options equally likely."""
        return sum(-share * log(share) for share in self.shares if share) / log(len(self.shares))


def read_choice(text: str, options: int | None = None) -> Choice | None:
    """Return what a text says of the options; None where it is none, or too little is on them.

    `options` is how many there have to be.
    """
    try:
        data = json.loads(text)
        found = [float(share) for share in data["options"]]
    except (ValueError, TypeError, KeyError, OverflowError):
        return None
    wrong = len(found) < 2 or len(found) != (options or len(found))
    if wrong or not all(isfinite(share) and share >= 0 for share in found) or sum(found) < LEAST:
        return None
    return Choice(tuple(share / sum(found) for share in found))
