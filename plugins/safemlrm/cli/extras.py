"""Which extra an engine comes with, and whether it is installed."""

from __future__ import annotations

from importlib.util import find_spec
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from safemlrm.starter import Engine

EXTRAS = {
    "transformers": ("hf", ("torch", "transformers", "PIL")),
    "vllm": ("vllm", ("vllm",)),
    "openai": ("openai", ("aiohttp", "PIL")),
}
"""The extra of each engine, and what it brings to be imported."""


def missing_extra(engine: Engine) -> str:
    """Return the extra that has to be installed before an engine can ask; empty if there is none."""
    extra, modules = EXTRAS[engine]
    return "" if all(map(find_spec, modules)) else extra
