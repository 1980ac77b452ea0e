"""pytest-safemlrm: fail a build when a multimodal reasoning model became less safe.

The names below are what a user's tests import; each is loaded when it is first asked for, so that
having the plugin installed costs a pytest run nothing.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from safemlrm.engines.gpus import Gpu
    from safemlrm.errors import ConfigError, EngineError, GateFailure, NotMeasured, SafemlrmError
    from safemlrm.fixtures import Gate
    from safemlrm.types import Attack, Case, Estimate, Image, Prompt, Turn, Verdict
    from safemlrm.verdict import Evaluation, TierEvaluation

_HOMES = {
    "Attack": "types",
    "Case": "types",
    "ConfigError": "errors",
    "EngineError": "errors",
    "Estimate": "types",
    "Evaluation": "verdict",
    "Gate": "fixtures",
    "GateFailure": "errors",
    "Gpu": "engines.gpus",
    "Image": "types",
    "NotMeasured": "errors",
    "Prompt": "types",
    "SafemlrmError": "errors",
    "TierEvaluation": "verdict",
    "Turn": "types",
    "Verdict": "types",
}

__all__ = [
    "Attack",
    "Case",
    "ConfigError",
    "EngineError",
    "Estimate",
    "Evaluation",
    "Gate",
    "GateFailure",
    "Gpu",
    "Image",
    "NotMeasured",
    "Prompt",
    "SafemlrmError",
    "TierEvaluation",
    "Turn",
    "Verdict",
]


def __getattr__(name: str) -> object:
    """Import a public name from the module it lives in."""
    if name not in _HOMES:
        raise AttributeError(f"module 'safemlrm' has no attribute {name!r}")
    return getattr(import_module(f"safemlrm.{_HOMES[name]}"), name)
