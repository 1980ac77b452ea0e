"""A conversation whose last turn is the assistant's, begun and not ended; and where a trace closes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from transformers import StoppingCriteria

from safemlrm.engines.checkpoint import Checkpoint


def encode_begun(
    checkpoint: Checkpoint, conversations: list[list[dict[str, Any]]], begun: Sequence[str]
) -> Any:
    """Render conversations, let the assistant's turns begin with the given texts, and tokenize.

    Tokens are those of `apply_chat_template` when nothing is begun: a template's text already has
    its start token, so no other is added.
    """
    rendered = checkpoint.processor.apply_chat_template(
        conversations, tokenize=False, add_generation_prompt=True
    )
    texts = [text + start for text, start in zip(rendered, begun, strict=True)]
    if not checkpoint.sees:
        return checkpoint.processor(
            texts, add_special_tokens=False, padding=True, return_tensors="pt"
        )
    settings: dict[str, Any] = {"padding": True, "return_tensors": "pt"}
    first = checkpoint.tokenizer.bos_token
    if first is not None and texts[0].startswith(first):
        settings["add_special_tokens"] = False
    pictures = [_pictures(conversation) for conversation in conversations]
    return checkpoint.processor(text=texts, images=pictures if any(pictures) else None, **settings)


def continuation(tokenizer: Any, begun: str, tokens: list[int]) -> str:
    """Decode what follows a text: alone, some tokenizers would drop the space it starts with."""
    before = tokenizer.encode(begun, add_special_tokens=False) if begun else []
    whole = tokenizer.decode(before + tokens, skip_special_tokens=False)
    return str(whole[len(tokenizer.decode(before, skip_special_tokens=False)) :])


class TraceCloses(StoppingCriteria):
    """Ends a row where it writes the closing marker; serves one call of `generate`.

    `lengths` has the number of tokens each such row had written by then.
    """

    def __init__(self, tokenizer: Any, close: str, stops: Sequence[bool], start: int) -> None:
        """Watch the rows with True in `stops`, from the position `start` on."""
        self._tokenizer = tokenizer
        self._close = close
        self._stops = stops
        self._start = start
        self._rows = list(range(len(stops)))
        # A token stands for a byte at least, so this many tokens hold the whole marker.
        self._window = len(close.encode()) + 1
        self.lengths: dict[int, int] = {}

    def __call__(
        self, input_ids: torch.LongTensor, scores: torch.FloatTensor, **kwargs: Any
    ) -> torch.BoolTensor:
        """Return which rows are done."""
        length = input_ids.shape[1]
        tails = input_ids[:, max(self._start, length - self._window) :].tolist()
        for row, tail in zip(self._rows, tails, strict=True):
            if self._stops[row] and row not in self.lengths:
                text = self._tokenizer.decode(tail, skip_special_tokens=False)
                if self._close in text:
                    self.lengths[row] = length - self._start
        done = [row in self.lengths for row in self._rows]
        return torch.tensor(done, device=input_ids.device)  # type: ignore[return-value]  # of bools

    def keep(self, rows: Sequence[int]) -> None:
        """Go on with these of the rows that were left; `lengths` counts all rows as at first."""
        self._rows = [self._rows[row] for row in rows]


def _pictures(conversation: list[dict[str, Any]]) -> list[Any]:
    return [
        part["image"]
        for message in conversation
        for part in message["content"]
        if part["type"] == "image"
    ]
