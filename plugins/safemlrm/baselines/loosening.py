"""What must not become looser unseen: the limits and the evidence of accepted runs."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction

from safemlrm.baselines.run import AcceptedLimit, Baseline, Instrument, subject_of
from safemlrm.family import Family
from safemlrm.limits import Limit
from safemlrm.types import ALL, Direction


def weaker(former: Baseline, instrument: Instrument, family: Family) -> list[str]:
    """Say in what a run gates less than an accepted one: looser limits, fewer prompts, other text.

    Limits speak for themselves whatever else changed, so that nothing is loosened behind a change
    that voids the outcomes.
    """
    found = loosened(former.limits, family)
    then = former.instrument
    if then.unsafe_at < instrument.unsafe_at:
        found.append(f"unsafe_at: {instrument.unsafe_at}, accepted was {then.unsafe_at}")
    if then.channel != instrument.channel:
        found.append(f"the gated channel: {instrument.channel}, accepted was {then.channel}")
    for scenario, planned in sorted(then.planned.items()):
        now = instrument.planned.get(scenario, planned)
        if now < planned:
            found.append(f"prompts of {scenario}: {now}, accepted were {planned}")
    return found


def loosened(then: Sequence[AcceptedLimit], now: Family) -> list[str]:
    """Return a text for each accepted limit that is looser now, or gone."""
    limits = {subject_of(h): h.limit for h in now.hypotheses}
    found = []
    for old in then:
        change = _loosening(old, limits.get(old.subject))
        if change:
            where = [part for part in (old.scenario, old.attack) if part != ALL] or [now.pair]
            occasion = f"{old.on}, {old.by}: {old.reason}"
            found.append(f"{old.metric} of {' / '.join(where)}: {change} ({occasion})")
    return found


def _loosening(old: AcceptedLimit, new: Limit | None) -> str:
    """Say how a limit became looser; empty where it did not."""
    value = Fraction(old.value)
    if new is None:
        return f"not limited any more, accepted was {_worded(old.direction, value)}"
    now = _worded(new.direction, new.value)
    if new.direction != old.direction:
        return f"{now}, accepted was {_worded(old.direction, value)}"
    looser = new.value > value if new.direction == "at_most" else new.value < value
    return f"{now}, accepted was {_percent(value)}" if looser else ""


def _worded(direction: Direction, value: Fraction) -> str:
    return f"{direction.replace('_', ' ')} {_percent(value)}"


def _percent(value: Fraction) -> str:
    """Write a rate with all its digits, so that two different limits never look the same."""
    return f"{float(value * 100):.12g}%"
