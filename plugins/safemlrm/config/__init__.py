"""safety.toml -> frozen models, with messages that say where and what was meant."""

from safemlrm.config.candidates import Weights, read_weights
from safemlrm.config.load import load_config
from safemlrm.config.messages import suggest
from safemlrm.config.model import Defence, Model, Reasoning, Script
from safemlrm.config.schema import Attach, Budget, Config, MetricLimits, Override, Pair, Ray

__all__ = [
    "Attach",
    "Budget",
    "Config",
    "Defence",
    "MetricLimits",
    "Model",
    "Override",
    "Pair",
    "Ray",
    "Reasoning",
    "Script",
    "Weights",
    "load_config",
    "read_weights",
    "suggest",
]
