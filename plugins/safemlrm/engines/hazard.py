"""The built-in decoding defence: the most likely tokens are ranked again by how hazardous each would be.

A small network reads the hidden state and a candidate's own embedding and gives the probability that
the response is unsafe if it goes on with this token; a candidate's score sinks by `strength` times
that, and so do its odds by e to that power. After Root Defence Strategies (Zeng et al. 2024, arXiv
2410.06809), where candidates are drafted ahead; here none is run, at the price of what only shows later.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor

from safemlrm.errors import EngineError

FILE = "hazard.safetensors"
NAMES = frozenset({"state", "token", "bias", "out", "offset"})


class Hazard:
    """Sinks the scores of hazardous candidates; tokens that are no candidates cannot be chosen."""

    def __init__(
        self,
        network: Any,
        tokenizer: Any,
        weights: Path | None,
        *,
        strength: float = 5.0,
        candidates: int = 20,
    ) -> None:
        """Load the weights, a safetensors file or the folder it lies in, for this network.

        Raises `EngineError` when there are none, or when they are of another network.
        """
        if weights is None:
            raise EngineError('defence "hazard" needs weights = a file trained on this model')
        if not strength >= 0 or not candidates >= 1:
            raise EngineError('defence "hazard": strength is at least 0, and candidates at least 1')
        table = network.get_output_embeddings().weight
        parts = _load(weights / FILE if weights.is_dir() else weights, table.shape[1])
        parts = {name: part.to(table.device) for name, part in parts.items()}
        self._strength, self._candidates = strength, candidates
        self._state, self._out, self._offset = parts["state"], parts["out"], parts["offset"]
        with torch.inference_mode():
            self._tokens = table.float() @ parts["token"] + parts["bias"]

    def rescore(self, scores: Tensor, hidden: Tensor, ids: Tensor) -> Tensor:
        """Return the candidates' scores less their hazard; all others become -inf."""
        best = scores.topk(min(self._candidates, scores.shape[-1]), dim=-1)
        sunk = best.values - self._strength * self.hazard(hidden, best.indices)
        return torch.full_like(scores, -torch.inf).scatter(-1, best.indices, sunk)

    def hazard(self, hidden: Tensor, tokens: Tensor) -> Tensor:
        """Return the probability (rows x candidates) that going on with a token ends unsafe."""
        state = hidden.float() @ self._state
        seen = torch.relu(state[:, None] + self._tokens[tokens])
        return torch.sigmoid(seen @ self._out + self._offset)


def _load(file: Path, width: int) -> dict[str, Tensor]:
    """Return the weights by name, of a network of this width."""
    try:
        parts = load_file(file)
    except (OSError, SafetensorError) as error:
        raise EngineError(
            f"{file}: cannot be read as the weights of a hazard defence: {error}"
        ) from None
    if set(parts) != NAMES:
        raise EngineError(f"{file}: expected the tensors {', '.join(sorted(NAMES))}")
    if parts["state"].shape[0] != width:
        raise EngineError(
            f"{file}: trained on a model with hidden states of {parts['state'].shape[0]}, and this "
            f"one has {width}; train it on this model"
        )
    return parts
