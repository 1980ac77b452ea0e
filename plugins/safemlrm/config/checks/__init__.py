"""What tables of safety.toml say of one another: names exist and are distinct, limits can apply."""

from __future__ import annotations

from collections.abc import Iterator

from safemlrm.config.checks import engines, gate, judges, limits, names
from safemlrm.config.schema import Config

CHECKS = (
    names.pairs,
    names.unasked,
    names.baseline,
    engines.keys,
    engines.vllm,
    engines.cluster,
    engines.servers,
    engines.thinking,
    judges.tables,
    judges.disagreement,
    limits.entropy,
    names.markers,
    limits.overrides,
    gate.confirm,
    gate.responses,
    limits.prefill,
)
"""In the order in which their mistakes are told."""


def contradictions(config: Config) -> Iterator[str]:
    """Yield one line for each place where two parts of a valid file do not fit together."""
    for check in CHECKS:
        yield from check(config)
