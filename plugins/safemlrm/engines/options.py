"""Multiple-choice questions: which tokens stand for an option, and the text their probabilities make."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from safemlrm.errors import EngineError

BEFORE = ("", " ", "\n")
"""What may stand between the prompt and the answer; some tokenizers make it part of a token."""
DIGITS = 6
"""What is kept of a probability; the batch a prompt is asked in changes what comes after."""


def write_probabilities(probabilities: Sequence[float]) -> str:
    """Return the text that stands for a response."""
    return json.dumps({"options": [round(probability, DIGITS) for probability in probabilities]})


def option_tokens(tokenizer: Any, options: Sequence[str], prompt: str) -> list[list[int]]:
    """Return the tokens that begin an answer with each option.

    Raises `EngineError` for an option that is no single token, since a longer one has no probability
    at one position, and for two that begin with the same token.
    """
    found = [_tokens(tokenizer, option) for option in options]
    for option, tokens in zip(options, found, strict=True):
        if not tokens:
            raise EngineError(
                f"prompt {prompt}: option {list(options).index(option) + 1} is more than one token of "
                "this model; name the options by letters, and show what they stand for in the question"
            )
    if len({token for tokens in found for token in tokens}) < sum(map(len, found)):
        raise EngineError(
            f"prompt {prompt}: two options are the same token of this model; name them by letters"
        )
    return found


def _tokens(tokenizer: Any, option: str) -> list[int]:
    """Return the single tokens that read as an option once the space around it is taken away."""
    last = (tokenizer.encode(f"{text}{option}", add_special_tokens=False)[-1:] for text in BEFORE)
    known = {token for tokens in last for token in tokens}
    return sorted(token for token in known if str(tokenizer.decode([token])).strip() == option)
