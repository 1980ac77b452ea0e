"""Accepted runs: per-prompt outcomes of a pair's candidate, kept to compare later candidates with.

A pair has two: the last accepted run, and the anchor, which is the first one. Against the last alone
every release could be a little worse than the one before.
"""

from safemlrm.baselines.files import (
    Past,
    anchor_path,
    baseline_path,
    digest_of,
    read_past,
    write_baselines,
)
from safemlrm.baselines.loosening import loosened, weaker
from safemlrm.baselines.run import AcceptedLimit, Baseline, Instrument, accept

__all__ = [
    "AcceptedLimit",
    "Baseline",
    "Instrument",
    "Past",
    "accept",
    "anchor_path",
    "baseline_path",
    "digest_of",
    "loosened",
    "read_past",
    "weaker",
    "write_baselines",
]
