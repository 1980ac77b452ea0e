"""Whether an error says that a device has no memory left, in the words of those that say so."""

from __future__ import annotations

import torch

OUT_OF_MEMORY = ("out of memory", "can't allocate memory")


def is_out_of_memory(error: Exception) -> bool:
    """Tell running out of memory, which a smaller batch may help, from all other errors."""
    if isinstance(error, torch.OutOfMemoryError | MemoryError):
        return True
    return any(words in str(error).lower() for words in OUT_OF_MEMORY)
