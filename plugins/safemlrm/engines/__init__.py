"""Engines: what asks a model; one kind a file, loaded only when a model needs it."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

from safemlrm.config import Model
from safemlrm.engines.devices import see_only
from safemlrm.errors import EngineError
from safemlrm.types import Engine

__all__ = ["build_engine"]

NEEDS = {
    "transformers": {"torch": "torch", "transformers": "transformers", "PIL": "pillow"},
    "vllm": {"vllm": "vllm"},
}
EXTRAS = {"transformers": "hf", "vllm": "vllm"}


def build_engine(name: str, model: Model, folder: Path, device: str) -> Engine:
    """Load a model on one device; `folder` is that of safety.toml, where relative paths start.

    Raises `EngineError` when the model cannot be loaded or an extra is not installed.
    """
    if model.engine == "scripted":
        from safemlrm.engines.scripted import ScriptedEngine

        return ScriptedEngine(model)
    if model.engine == "imported":
        from safemlrm.engines.imported import ImportedEngine

        return ImportedEngine()
    needs = NEEDS[model.engine].items()
    missing = [package for module, package in needs if find_spec(module) is None]
    if missing:
        raise EngineError(
            f'[models.{name}] engine "{model.engine}" needs {" and ".join(missing)}: '
            f'pip install "pytest-safemlrm[{EXTRAS[model.engine]}]"'
        )
    if model.engine == "vllm":
        see_only(device)
        from safemlrm.engines.vllm import VllmEngine

        return VllmEngine(model, folder, device)
    from safemlrm.engines.transformers import TransformersEngine

    return TransformersEngine(model, folder, device)
