"""A decoding defence at work inside `generate`: it is heard where the network's head is read."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from transformers import LogitsProcessor

from safemlrm.engines.defence import Rescorer
from safemlrm.engines.memory import is_out_of_memory
from safemlrm.errors import EngineError


class Guard(LogitsProcessor):
    """Hands each step's scores to a defence, with the hidden states that the scores come from."""

    def __init__(self, kind: str, network: Any, rescorer: Rescorer) -> None:
        """Listen to what the network's head reads; that it has a head is true of every chat model."""
        self._kind = kind
        self._rescorer = rescorer
        self._hidden: torch.Tensor | None = None
        head = network.get_output_embeddings()
        if head is None:
            raise EngineError(f"defence {kind!r}: this network has no head over a vocabulary")
        head.register_forward_pre_hook(self._hear)

    def _hear(self, _: torch.nn.Module, inputs: tuple[torch.Tensor, ...]) -> None:
        """Keep the last place of each row: prompts are padded on the left."""
        self._hidden = inputs[0][:, -1]

    def __call__(self, input_ids: torch.LongTensor, scores: torch.FloatTensor) -> torch.FloatTensor:
        """Return the defence's scores (rows x vocabulary); `EngineError` when they cannot be chosen by."""
        if self._hidden is None or len(self._hidden) != len(scores):
            raise EngineError(
                f"defence {self._kind!r}: the network's head was not read for these scores, so there "
                "are no hidden states to judge by"
            )
        given = self._asked(scores.float(), self._hidden, input_ids)
        self._hidden = None  # or a step that the head is not read for would be judged by this one
        if not isinstance(given, torch.Tensor) or given.shape != scores.shape:
            raise EngineError(
                f"defence {self._kind!r}: rescore returned {_shape(given)}; expected {_shape(scores)}"
            )
        if given.isnan().any() or not (given > -torch.inf).any(dim=-1).all():
            raise EngineError(
                f"defence {self._kind!r}: rescore returned a row with NaN, or without any token that "
                "may be chosen"
            )
        return given.float()  # type: ignore[return-value]  # a float32 tensor

    def _asked(self, scores: torch.Tensor, hidden: torch.Tensor, ids: torch.Tensor) -> object:
        try:
            return self._rescorer.rescore(scores, hidden, ids)
        except Exception as error:  # a user's code may raise anything
            if is_out_of_memory(error):
                raise  # which a smaller batch may help
            lines = str(error).strip().splitlines() or ["no reason given"]
            raise EngineError(
                f"defence {self._kind!r}: rescore raised {type(error).__name__}: {lines[0]}"
            ) from error

    def keep(self, rows: Sequence[int]) -> None:
        """Nothing to do: of a row nothing is kept from step to step."""


def _shape(value: object) -> str:
    if not isinstance(value, torch.Tensor):
        return type(value).__name__
    return f"a tensor of {' x '.join(map(str, value.shape))}"
