"""What a child can do without: packages that transformers imports because they happen to be installed.

Measured with transformers 5.24: scipy (the losses of object detection) and torchao take a sixth of the
CPU time until a small checkpoint is loaded, and neither does anything for it.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from safemlrm.config import Model
from safemlrm.engines.folder import files_of
from safemlrm.engines.quantization import quantized_on_disk
from safemlrm.errors import SafemlrmError

PACKAGES = ("scipy", "sklearn", "torchao")


@contextmanager
def spared(model: Model, folder: Path) -> Iterator[None]:
    """Load a plain checkpoint as if these packages were not installed; others find all there is.

    `folder` is that of safety.toml. None in `sys.modules` is Python's own way to say "not here".
    """
    names = [name for name in PACKAGES if name not in sys.modules] if _plain(model, folder) else []
    sys.modules.update(dict.fromkeys(names))  # type: ignore[arg-type]  # None is allowed there
    try:
        yield
    finally:
        for name in names:
            del sys.modules[name]


def _plain(model: Model, folder: Path) -> bool:
    """Tell whether nothing of a model can need more than torch, transformers and Pillow."""
    if model.engine != "transformers" or model.trust_remote_code:
        return False
    if model.quantize is not None or model.adapter is not None:
        return False
    try:
        return quantized_on_disk(files_of(model, folder)) is None
    except SafemlrmError:
        return False  # loading says what is wrong with it
