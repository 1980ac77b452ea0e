"""What the store holds on cells, counted the ways the metrics need it (pure)."""

from safemlrm.evidence.cell import CellResult, paired
from safemlrm.evidence.counts import Bad, Channels, Chosen, Counts, Pairs, Shares, pairs_of

__all__ = [
    "Bad",
    "CellResult",
    "Channels",
    "Chosen",
    "Counts",
    "Pairs",
    "Shares",
    "paired",
    "pairs_of",
]
