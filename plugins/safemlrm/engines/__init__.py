"""Engines: what asks a model; one kind a file, loaded only when a model needs it."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

from safemlrm.config import Model
from safemlrm.errors import EngineError
from safemlrm.types import Engine

__all__ = ["build_engine"]

NEEDS = {"torch": "torch", "transformers": "transformers", "PIL": "pillow"}


def build_engine(name: str, model: Model, folder: Path, device: str) -> Engine:
    """Load a model on one device; `folder` is that of safety.toml, where relative paths start.

    Raises `EngineError` when the model cannot be loaded or an extra is not installed.
    """
    if model.engine == "scripted":
        from safemlrm.engines.scripted import ScriptedEngine

        return ScriptedEngine(model)
    missing = [package for module, package in NEEDS.items() if find_spec(module) is None]
    if missing:
        raise EngineError(
            f'[models.{name}] engine "transformers" needs {" and ".join(missing)}: '
            'pip install "pytest-safemlrm[hf]"'
        )
    from safemlrm.engines.transformers import TransformersEngine

    return TransformersEngine(model, folder, device)
