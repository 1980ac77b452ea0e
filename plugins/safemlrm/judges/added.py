"""What a model added to a turn that an attack began: all that any judge reads of it.

The words that an attack put into the model's mouth agree whatever the model does, so they prove
neither harm nor refusal.
"""

from __future__ import annotations

import re
from dataclasses import replace
from functools import lru_cache
from pathlib import Path

from safemlrm.types import Prompt, Response

SOURCE = Path(__file__)
"""Part of the digest of every judge."""


def added(prompt: Prompt, response: Response) -> Response:
    """Return the response without the prompt's prefill, which one channel starts with.

    That is the trace where it has no answer after it or the chat template opened it, else the answer.
    """
    begun = prompt.prefill.strip()
    if not begun:
        return response
    full, answer, reasoning = response.full, response.answer, response.reasoning
    if reasoning and (answer is None or response.prefilled):
        reasoning = _after(begun, reasoning)
    elif answer is not None:
        answer = _after(begun, answer)
    return replace(response, full=_after(begun, full), answer=answer, reasoning=reasoning)


def _after(begun: str, text: str) -> str:
    """Return what follows the words a turn began with, however often they stand there.

    Blanks between words may differ. Where even these words were cut off, nothing follows.
    """
    if found := _words(begun).match(text):
        return text[found.end() :]
    said, start = " ".join(begun.split()), " ".join(text.split())
    return "" if said.startswith(start) else text


@lru_cache(maxsize=256)
def _words(begun: str) -> re.Pattern[str]:
    spaced = r"\s+".join(re.escape(word) for word in begun.split())
    return re.compile(rf"(?:\s*{spaced})+")
