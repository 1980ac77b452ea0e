"""What a model added to a turn that an attack began: all that any judge reads of it.

The words that an attack put into the model's mouth agree whatever the model does, so they prove
neither harm nor refusal.
"""

from __future__ import annotations

from dataclasses import replace
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
    """Return what follows the words a turn began with; where even these were cut off, nothing does."""
    start = text.lstrip()
    if start.startswith(begun):
        return start.removeprefix(begun)
    return "" if begun.startswith(start) else text
