"""Hypotheses as a family would make them, for tests of what is decided from them."""

from __future__ import annotations

from fractions import Fraction

from safemlrm.family import Hypothesis, Zones
from safemlrm.limits import METRIC, Limit
from safemlrm.metrics.binomial import critical_count, pass_count
from safemlrm.types import Case, Direction, Tier


def hypothesis(
    metric: str,
    limit: Fraction,
    n: int,
    level: float,
    direction: Direction | None = None,
) -> Hypothesis:
    """Return a hypothesis on one metric with zones where its kind has some."""
    kind = METRIC[metric]
    way = direction or kind.direction
    zones = None
    if kind.kind == "count":
        most = limit if way == "at_most" else 1 - limit
        zones = Zones(pass_count(n, most), critical_count(n, most, level), None)
    subject = Case("r1", "fraud", "figstep") if kind.scope == "case" else Tier("r1")
    return Hypothesis(subject, kind, Limit(limit, way, "[limits]"), n, level, zones)
