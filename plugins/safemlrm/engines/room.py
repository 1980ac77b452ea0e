"""Keys and values of past tokens with room for the next ones, so that a token does not copy them all.

The library's layer joins old and new at every step: over a response of n tokens that copies n * n / 2
of them. Here a block is copied once in `ROOM` tokens, and what attention reads is a view of it.
"""

from __future__ import annotations

import torch
from transformers import DynamicCache
from transformers.cache_utils import DynamicLayer

ROOM = 32


class RoomyLayer(DynamicLayer):  # type: ignore[no-untyped-call]  # the library's base is untyped
    """A layer of a cache whose tensors (rows x heads x tokens x numbers) end in unused places."""

    keys: torch.Tensor
    values: torch.Tensor

    def __init__(self, layer: DynamicLayer) -> None:
        """Go on from what a layer has."""
        super().__init__()  # type: ignore[no-untyped-call]  # the library's
        assert layer.keys is not None
        assert layer.values is not None
        self.keys, self.values = layer.keys, layer.values
        self.dtype, self.device = self.keys.dtype, self.keys.device
        self.is_initialized = True
        self._keys, self._values = _roomy(self.keys, 0), _roomy(self.values, 0)

    def update(
        self, key_states: torch.Tensor, value_states: torch.Tensor, *args: object, **kwargs: object
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Add tokens; return all keys and values."""
        start = self.keys.shape[-2]
        end = start + key_states.shape[-2]
        if end > self._keys.shape[-2]:
            more = end - start + ROOM
            self._keys, self._values = _roomy(self.keys, more), _roomy(self.values, more)
        self._keys[:, :, start:end] = key_states
        self._values[:, :, start:end] = value_states
        self.keys, self.values = self._keys[:, :, :end], self._values[:, :, :end]
        return self.keys, self.values

    def batch_select_indices(self, indices: torch.Tensor) -> None:
        """Keep these rows, and the room."""
        end = self.keys.shape[-2]
        self._keys, self._values = self._keys[indices], self._values[indices]
        self.keys, self.values = self._keys[:, :, :end], self._values[:, :, :end]


def make_room(cache: DynamicCache) -> None:
    """Let each plain layer of a cache that has been filled keep room; sliding windows stay as they are."""
    cache.layers = [
        RoomyLayer(layer) if type(layer) is DynamicLayer and layer.is_initialized else layer
        for layer in cache.layers
    ]


def _roomy(states: torch.Tensor, more: int) -> torch.Tensor:
    """Return a copy with so many more places for tokens; what lies in them is undefined."""
    if not more:
        return states
    rows, heads, length, width = states.shape
    copy = states.new_empty(rows, heads, length + more, width)
    copy[:, :, :length] = states
    return copy
