"""Two runs side by side: paired by prompt where their outcomes are known, else by their rates."""

from safemlrm.compare.published import named_sides
from safemlrm.compare.rows import Comparison, Row, compare
from safemlrm.compare.sides import NAMED, Pair, Side, read_side, side_of
from safemlrm.compare.tables import as_json, as_markdown, as_text

__all__ = [
    "NAMED",
    "Comparison",
    "Pair",
    "Row",
    "Side",
    "as_json",
    "as_markdown",
    "as_text",
    "compare",
    "read_side",
    "side_of",
]

NAMED.update(named_sides())
