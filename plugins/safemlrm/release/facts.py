"""What only the run itself knows of itself; whoever verifies a record takes it from there."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import version

from safemlrm.family import Family
from safemlrm.reporting.outcome import Outcome, partial
from safemlrm.types import Case, Tier


@dataclass(frozen=True)
class RunFacts:
    """What a run says of itself: when, how it ended, what its tests selected."""

    made: str
    version: str
    passed: bool
    observed: bool
    partial: Sequence[str]
    objections: Sequence[str]
    broken: Mapping[str, str]
    selected: Sequence[str]


def facts_of(outcome: Outcome, families: Mapping[str, Family], notes: Sequence[str]) -> RunFacts:
    """Return what a run that just ended says of itself."""
    return RunFacts(
        made=datetime.now(UTC).isoformat(timespec="seconds"),
        version=version("pytest-safemlrm"),
        passed=outcome.passed and not outcome.observed,
        observed=outcome.observed,
        partial=partial(outcome, families),
        objections=list(notes),
        broken=dict(sorted(outcome.broken.items())),
        selected=sorted(set(outcome.selected.values())),
    )


def ran(case: Case, selected: Iterable[str]) -> bool:
    """Whether a run's tests looked at a case, alone or as a part of its pair or scenario."""
    ids = {case.id, Tier(case.pair).id, Tier(case.pair, case.scenario).id}
    return not ids.isdisjoint(selected)
