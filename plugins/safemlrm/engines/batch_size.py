"""The largest batch that fits a device: found by running out of memory, and remembered."""

from __future__ import annotations

import logging
from collections.abc import Hashable

log = logging.getLogger(__name__)


class BatchSize:
    """How many requests of a kind are asked at once; kinds differ in how much memory one takes."""

    def __init__(self, limit: int) -> None:
        """Start from `limit`, the largest batch that is ever tried."""
        self._limit = limit
        self._fits: dict[Hashable, int] = {}

    def of(self, kind: Hashable) -> int:
        """Return the size to try."""
        return self._fits.get(kind, self._limit)

    def halve(self, kind: Hashable, size: int) -> bool:
        """Note that so many did not fit; False when it was one alone, which nothing can help."""
        if size == 1:
            return False
        self._fits[kind] = min(self.of(kind), size // 2)
        log.info("a batch of %d does not fit into memory, so %d are asked", size, self.of(kind))
        return True
