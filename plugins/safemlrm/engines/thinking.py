"""What a model's turn already says when it goes on: an attack's prefill, and how much it may think.

ZeroThink, LessThink and MoreThink are those of SafeChain (Jiang et al., arXiv 2502.12025). What we put
into a turn is no answer of the model's: a planted trace never reaches a judge. An attack's prefill
does, in front of what the model adds, since that is the response a user would see; where the model
adds nothing the response is empty.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from hashlib import sha256

from safemlrm.config import Model
from safemlrm.types import Completion, Prompt, Request

LINE = "This needs no thought, so I answer right away."
WAIT = "\nWait"


def begun(model: Model, prompt: Prompt) -> str:
    """Return the text the assistant's turn starts with: a finished trace, then the attack's prefill."""
    marks = model.reasoning
    if marks is None or model.thinking not in ("zero", "less"):
        return prompt.prefill
    opened = "" if marks.prefilled else f"{marks.open}\n"
    thought = LINE if model.thinking == "less" else ""
    return f"{opened}{thought}\n{marks.close}\n\n{prompt.prefill}"


def response(model: Model, prompt: Prompt, written: str) -> str:
    """Return what a judge reads: the prefill and what the model wrote, "" where it wrote nothing.

    Where the chat template opened a trace that we closed, the closing marker tells the splitter so.
    """
    if not written.strip():
        return ""
    marks = model.reasoning
    closed = marks is not None and marks.prefilled and model.thinking in ("zero", "less")
    return f"{marks.close if marks and closed else ''}{prompt.prefill}{written}"


@dataclass(frozen=True, slots=True)
class Draft:
    """A response on its way: what the model wrote, the tokens it took, how often it was told to wait.

    `prompt_tokens` are those of the first stretch, before anything was written.
    """

    request: Request
    written: str = ""
    spent: int = 0
    waits: int = 0
    prompt_tokens: int | None = None

    @property
    def seed(self) -> int:
        """A generator of its own for every stretch, or each would draw the first one's noise."""
        if not self.waits:
            return self.request.seed
        return int(sha256(f"{self.request.seed}/{self.waits}".encode()).hexdigest()[:15], 16)


GoOn = Callable[[list[Draft], list[bool]], list[Completion]]
"""Continues drafts; those with True stop where the trace closes. The text is the new part alone."""


def think_more(model: Model, requests: list[Request], budget: int, go_on: GoOn) -> list[Completion]:
    """Answer requests; a trace that closes goes on with "Wait" until the rounds or tokens are spent.

    `budget` is the number of tokens a whole response may take.
    """
    close = model.reasoning.close if model.reasoning else ""
    done: dict[str, Completion] = {}
    drafts = [Draft(request) for request in requests]
    while drafts:
        live: list[Draft] = []
        pieces = go_on(drafts, [draft.waits < model.thinking_rounds for draft in drafts])
        for draft, piece in zip(drafts, pieces, strict=True):
            spent = draft.spent + piece.completion_tokens
            asked = draft.prompt_tokens or piece.prompt_tokens
            thought, closes, _ = piece.text.partition(close)
            if closes and draft.waits < model.thinking_rounds and spent < budget:
                written = draft.written + thought.rstrip() + WAIT
                live.append(Draft(draft.request, written, spent, draft.waits + 1, asked))
            else:
                text = draft.written + piece.text
                done[draft.request.key] = replace(
                    piece, text=text, prompt_tokens=asked, completion_tokens=spent
                )
        drafts = live
    return [done[request.key] for request in requests]
