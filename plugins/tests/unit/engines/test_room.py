"""A cache with room holds what the library's holds, whatever is added and dropped."""

from __future__ import annotations

from typing import Any

import pytest

pytestmark = pytest.mark.slow


def test_keys_and_values_are_the_librarys() -> None:
    import torch
    from transformers import DynamicCache

    from safemlrm.engines.room import ROOM, RoomyLayer, make_room

    made = torch.Generator().manual_seed(1)

    def states(rows: int, tokens: int) -> torch.Tensor:
        return torch.randn(rows, 2, tokens, 3, generator=made)

    plain, roomy = DynamicCache(), DynamicCache()
    rows = 6
    for step in range(3 * ROOM):
        keys, values = states(rows, 5 if step == 0 else 1), states(rows, 5 if step == 0 else 1)
        expected, found = plain.update(keys, values, 0), roomy.update(keys, values, 0)
        assert all(torch.equal(a, b) for a, b in zip(expected, found, strict=True))
        assert roomy.get_seq_length() == plain.get_seq_length() == 5 + step
        if step == 0:
            make_room(roomy)
            assert isinstance(roomy.layers[0], RoomyLayer)
        if step % 20 == 19:
            rows -= 1
            stay = torch.arange(rows, 0, -1)
            plain.batch_select_indices(stay)
            roomy.batch_select_indices(stay)


def test_layers_that_are_no_plain_ones_stay() -> None:
    import torch
    from transformers import DynamicCache
    from transformers.cache_utils import DynamicLayer, DynamicSlidingWindowLayer

    from safemlrm.engines.room import make_room

    cache = DynamicCache()
    window: Any = DynamicSlidingWindowLayer(4)
    layer: Any = DynamicLayer
    empty = layer()
    cache.layers = [window, empty]
    window.update(torch.ones(1, 1, 2, 3), torch.ones(1, 1, 2, 3))
    make_room(cache)
    assert cache.layers == [window, empty]
