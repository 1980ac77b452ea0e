"""The configured limits as a record keeps them, and what is let pass beside them."""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction

from safemlrm.baselines import loosened
from safemlrm.baselines.run import AcceptedLimit, subject_of
from safemlrm.config import Config
from safemlrm.family import Family, Hypothesis
from safemlrm.reading import Cells
from safemlrm.release.form import NAMES, Data
from safemlrm.types import ALL
from safemlrm.verdict import Reader


def key_of(h: Hypothesis) -> tuple[str, str, str, str]:
    """Return what a hypothesis is named by."""
    return (h.subject.pair, *subject_of(h))


def limit_of(cells: Cells, h: Hypothesis) -> Data:
    """Return a limit with its critical counts, and by whom it was accepted as it is now."""
    accepted = _accepted(cells, h)
    settled = accepted and {"by": accepted.by, "on": accepted.on, "reason": accepted.reason}
    return {
        **dict(zip(NAMES, key_of(h), strict=True)),
        "value": str(h.limit.value),
        "direction": h.limit.direction,
        "n": h.n,
        "level": h.level,
        "passes_to": h.zones.passes_to if h.zones else None,
        "fails_from": h.zones.fails_from if h.zones else None,
        "origin": h.limit.origin,
        "saturated": h.limit.saturated,
        "accepted": settled,
    }


def _accepted(cells: Cells, h: Hypothesis) -> AcceptedLimit | None:
    """Return who accepted a limit as it is now, None where nobody did."""
    kept = cells.past(h.subject.pair).kept
    for limit in kept.limits if kept else ():
        same = (limit.direction, Fraction(limit.value)) == (h.limit.direction, h.limit.value)
        if limit.subject == subject_of(h) and same:
            return limit
    return None


def waivers_of(reader: Reader, *, observed: bool) -> list[Data]:
    """Return what is let pass, each with its reason: nobody should have to look for it."""
    found = (
        [("observed", "the run", "--safety-observe: no verdict fails the run")] if observed else []
    )
    for pair, family in sorted(reader.families.items()):
        found += _waived(family, reader.cells.config)
        anchor = reader.cells.past(pair).anchor
        if anchor:
            found += [("loosened", pair, text) for text in loosened(anchor.limits, family)]
    return [{"kind": kind, "about": about, "reason": reason} for kind, about, reason in found]


def _waived(family: Family, config: Config) -> Iterator[tuple[str, str, str]]:
    """Yield kind, subject and reason of the limits of a pair that allow more than others."""
    for h in family.hypotheses:
        about = f"{h.metric.name} of {' / '.join(p for p in key_of(h)[:3] if p != ALL)}"
        if h.limit.saturated:
            yield "saturated", about, h.limit.origin
        if _looser(config, h):
            yield "override", about, h.limit.origin


def _looser(config: Config, h: Hypothesis) -> bool:
    """Whether an override allows more than [limits] does elsewhere."""
    general = getattr(config.limits, h.metric.name)
    if not isinstance(general, Fraction) or not h.limit.origin.startswith("[[limits.override]]"):
        return False
    now = h.limit.value
    return now > general if h.limit.direction == "at_most" else now < general
