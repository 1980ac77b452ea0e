"""The loop over tokens, in which rows that have finished are dropped while the rest go on.

It runs inside `generate` of transformers, as its `custom_generate`: cache, positions, logits processors
and stopping criteria are what the library prepared, and the tokens are those of its own loop. Where
it is not known how to take a row out of what a model carries from token to token, none is dropped.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from functools import partial
from typing import Any, Protocol, runtime_checkable

import torch
from transformers import DynamicCache, GenerationMixin
from transformers.cache_utils import Cache, DynamicLayer, DynamicSlidingWindowLayer

from safemlrm.engines.room import make_room

# Dropping copies the cache, as every step does: it pays from one row in so many on.
SHARE = 8
LAYERS = (DynamicLayer, DynamicSlidingWindowLayer)
# The inputs that have a row for each row of the batch, and their dimension of rows.
BY_ROW: Mapping[str, int] = {
    "attention_mask": 0,
    "position_ids": -2,  # rows x tokens, or axes x rows x tokens where pictures have two axes
    "token_type_ids": 0,
    "mm_token_type_ids": 0,
    "cross_attention_mask": 0,
}
# The inputs that are read with the prompt and not again.
PROMPT_ONLY = frozenset(
    {
        "pixel_values",
        "pixel_mask",
        "pixel_attention_mask",
        "image_grid_thw",
        "image_sizes",
        "aspect_ratio_ids",
        "aspect_ratio_mask",
    }
)
# What Qwen-VL networks keep of each row: how far a picture moves the positions of what follows.
HELD = "rope_deltas"
# What the library's repetition penalty knows of each row: its padding, which is no repetition.
PADDING = "prompt_ignore_length"

Loop = Callable[..., torch.Tensor]
Holding = dict[tuple[torch.nn.Module, str], torch.Tensor]


@runtime_checkable
class FollowsRows(Protocol):
    """A logits processor or stopping criterion that knows something about each row."""

    def keep(self, rows: Sequence[int]) -> None:
        """Go on with these of the rows that were left, in this order."""


def dropping(network: Any) -> Loop | None:
    """Return the `custom_generate` for the next call of `generate`; None where the library is too old."""
    steps = inspect.signature(GenerationMixin.prepare_inputs_for_generation).parameters
    return partial(_loop, before=_held(network)) if "next_sequence_length" in steps else None


def _loop(
    network: Any,
    input_ids: torch.Tensor,
    logits_processor: Any,
    stopping_criteria: Any,
    generation_config: Any,
    before: Holding,
    **inputs: Any,
) -> torch.Tensor:
    """Return prompts and greedy responses (rows x tokens), padded on the right.

    `before` is what the network held when `generate` was called.
    """
    batch = _Batch(input_ids, generation_config.pad_token_id or 0)
    outputs = _step(network, batch.ids, inputs, first=True)
    inputs = _moved_on(network, outputs, inputs)
    scoring = (*logits_processor, *stopping_criteria)
    held = _held(network)
    moving = [module for module, name in held if name == HELD]
    droppable = (
        _droppable(inputs)
        and _known(before, held)
        and all(_understood(one, len(batch.ids)) for one in scoring)
    )
    if droppable:
        for cache in inputs.values():
            if isinstance(cache, DynamicCache):
                make_room(cache)
    with _decoding(network):
        while True:
            logits = outputs.logits[:, -1].to(
                copy=True, dtype=torch.float32, device=batch.ids.device
            )
            del outputs  # the logits of a whole prompt may be large
            batch.append(logits_processor(batch.ids, logits).argmax(dim=-1), stopping_criteria)
            live = batch.live()
            if not live:
                return batch.whole()
            if droppable and (len(batch.ids) - len(live)) * SHARE >= len(batch.ids):
                _drop(moving, inputs, batch.keep(live))
                for one in scoring:
                    _follow(one, live)
            outputs = _step(network, batch.ids, inputs, first=False)
            inputs = _moved_on(network, outputs, inputs)


class _Batch:
    """The rows that are still there, and those that have left with their tokens."""

    def __init__(self, ids: torch.Tensor, pad: int) -> None:
        self.ids = ids
        self._pad = pad
        self._rows = list(range(len(ids)))
        self._left: dict[int, torch.Tensor] = {}
        self._done = torch.zeros(len(ids), dtype=torch.bool, device=ids.device)

    def append(self, tokens: torch.Tensor, stopping_criteria: Any) -> None:
        """Add a token a row, padding where a row had finished, and see which finish."""
        tokens = tokens.masked_fill(self._done, self._pad)
        self.ids = torch.cat([self.ids, tokens[:, None]], dim=-1)
        self._done = self._done | stopping_criteria(self.ids, None)

    def live(self) -> list[int]:
        """Return the rows that have not finished."""
        return [row for row, done in enumerate(self._done.tolist()) if not done]

    def keep(self, live: Sequence[int]) -> torch.Tensor:
        """Let all other rows leave; return the rows that stay, as an index."""
        stay = set(live)
        self._left |= {
            self._rows[row]: self.ids[row] for row in range(len(self.ids)) if row not in stay
        }
        index = torch.tensor(live, device=self.ids.device)
        self._rows = [self._rows[row] for row in live]
        self.ids, self._done = self.ids[index], self._done[index]
        return index

    def whole(self) -> torch.Tensor:
        """Return all rows in their first order."""
        left = self._left | dict(zip(self._rows, self.ids, strict=True))
        whole = self.ids.new_full((len(left), self.ids.shape[1]), self._pad)
        for row, ids in left.items():
            whole[row, : len(ids)] = ids
        return whole


def _step(network: Any, ids: torch.Tensor, inputs: dict[str, Any], first: bool) -> Any:
    """Run the network over the prompt, or over the last token."""
    length = None if first or not inputs["use_cache"] else 1
    prepared = network.prepare_inputs_for_generation(
        ids, next_sequence_length=length, is_first_iteration=first, **inputs
    )
    return network(**prepared, return_dict=True)


def _moved_on(network: Any, outputs: Any, inputs: dict[str, Any]) -> dict[str, Any]:
    """Return the inputs with a place for one more token."""
    moved: dict[str, Any] = network._update_model_kwargs_for_generation(
        outputs, inputs, is_encoder_decoder=False
    )
    return moved


def _decoding(network: Any) -> AbstractContextManager[None]:
    """Choose kernels for single tokens, where this version of the library has a choice."""
    choose = getattr(network, "_optimize_model_for_decode", nullcontext)
    return choose()


def _held(network: Any) -> Holding:
    """List the tensors that modules keep beside their weights."""
    return {
        (module, name): value
        for module in network.modules()
        for name, value in vars(module).items()
        if isinstance(value, torch.Tensor)
    }


def _known(before: Holding, after: Holding) -> bool:
    """Tell whether all that a network has kept since is known to have a row for each of the batch."""
    return all(key[1] == HELD or before.get(key) is value for key, value in after.items())


def _droppable(inputs: Mapping[str, Any]) -> bool:
    """Tell whether each input of the next step is one that a row can be taken out of."""
    for name, value in inputs.items():
        if isinstance(value, Cache):
            if type(value) is not DynamicCache or any(type(x) not in LAYERS for x in value.layers):
                return False
        elif isinstance(value, torch.Tensor) and name not in BY_ROW and name not in PROMPT_ONLY:
            return False
    return bool(inputs["use_cache"])


def _understood(one: object, rows: int) -> bool:
    """Tell whether all that a processor or criterion knows of single rows can follow them."""
    if isinstance(one, FollowsRows):
        return True
    return not any(
        isinstance(value, torch.Tensor) and value.dim() > 0 and len(value) == rows
        for name, value in vars(one).items()
        if name != PADDING
    )


def _follow(one: object, live: Sequence[int]) -> None:
    """Let a processor or criterion go on with these rows."""
    if isinstance(one, FollowsRows):
        one.keep(live)
    elif isinstance(padding := getattr(one, PADDING, None), torch.Tensor):
        setattr(one, PADDING, padding[list(live)])


def _drop(moving: Iterable[torch.nn.Module], inputs: dict[str, Any], rows: torch.Tensor) -> None:
    """Keep these rows of everything that is carried to the next token."""
    for name, value in inputs.items():
        if isinstance(value, Cache):
            value.batch_select_indices(rows)
        elif isinstance(value, torch.Tensor) and name in BY_ROW:
            inputs[name] = value.index_select(BY_ROW[name] % value.dim(), rows)
    for module in moving:
        setattr(module, HELD, getattr(module, HELD)[rows])
