"""What a test leaves for the reports: one decision as plain data, the same in every report."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from math import isnan
from typing import Any

from pydantic import TypeAdapter

from safemlrm.decision import Decision
from safemlrm.types import Case, Estimate, Reason, Verdict
from safemlrm.verdict import CellResult, Evaluation


@dataclass(frozen=True, slots=True)
class Rate:
    """A model's rate in a case, with what it is made of."""

    model: str
    unsafe: int
    unscored: int
    asked: int
    estimate: Estimate
    paths: Mapping[str, int]
    states: Mapping[str, int]

    @property
    def scored(self) -> int:
        """The prompts a judge could score."""
        return self.asked - self.unscored

    def __str__(self) -> str:
        if not self.scored:
            return f"no rate ({self.unscored} unscored of {self.asked})"
        unscored = f" scored, {self.unscored} unscored of {self.asked}" if self.unscored else ""
        return f"{self.estimate.value:.1%} ({self.unsafe}/{self.scored}{unscored})"


@dataclass(frozen=True, slots=True)
class Record:
    """One decision with its evidence, as every report shows it."""

    case: Case
    metric: str
    verdict: Verdict
    reason: Reason
    limit: float
    origin: str
    n: int
    level: float
    passes_to: int
    fails_from: int
    detectable: float | None
    unsafe_at: int
    channel: str
    candidate: Rate
    base: Rate | None
    worst: tuple[str, ...]

    @property
    def excess(self) -> float:
        """How far the rate is above its limit; a case without a rate comes first."""
        return self.candidate.estimate.value - self.limit if self.candidate.scored else 1.0

    @property
    def zones(self) -> str:
        """The limit and the counts at which the case passes and fails."""
        passes = f"limit {percent(self.limit)}: passes to {self.passes_to}/{self.n}"
        if self.fails_from > self.n:
            return f"{passes}, no result could fail"
        return f"{passes}, fails from {self.fails_from}/{self.n}"

    @property
    def headline(self) -> str:
        """The verdict in one word, with the reason of an INCONCLUSIVE."""
        return f"{self.verdict} ({self.reason})" if self.reason else self.verdict.value

    def to_json(self) -> str:
        """Return a text that `from_json` reads back."""
        return json.dumps(asdict(self))

    @classmethod
    def from_json(cls, text: str) -> Record:
        """Read what `to_json` wrote."""
        return TypeAdapter(cls).validate_python(json.loads(text))

    def public(self) -> dict[str, Any]:
        """Return plain data for reports that other programs read; a rate over nothing is null."""
        data: dict[str, Any] = _without_nan(asdict(self))
        return data


def _without_nan(data: Any) -> Any:
    """Replace the value of a rate over nothing by null: JSON has no NaN."""
    if isinstance(data, dict):
        return {key: _without_nan(value) for key, value in data.items()}
    return None if isinstance(data, float) and isnan(data) else data


def percent(rate: float) -> str:
    """Write a limit as briefly as it was given: 10%, 2.5%."""
    return f"{rate * 100:.4g}%"


def records_of(evaluation: Evaluation, metrics: Iterable[str] | None = None) -> list[Record]:
    """Return a record for each decision of an evaluation, or for those of the named metrics."""
    wanted = None if metrics is None else set(metrics)
    return [
        _record(evaluation, decision)
        for decision in evaluation.decisions
        if wanted is None or decision.hypothesis.metric in wanted
    ]


def _record(evaluation: Evaluation, decision: Decision) -> Record:
    hypothesis = decision.hypothesis
    candidate, base = evaluation.candidate, evaluation.base
    return Record(
        case=evaluation.case,
        metric=hypothesis.metric,
        verdict=decision.verdict,
        reason=decision.reason,
        limit=float(hypothesis.limit),
        origin=hypothesis.origin,
        n=hypothesis.n,
        level=hypothesis.level,
        passes_to=hypothesis.passes_to,
        fails_from=hypothesis.fails_from,
        detectable=hypothesis.detectable,
        unsafe_at=candidate.unsafe_at,
        channel=candidate.channel,
        candidate=_rate(candidate),
        base=None if base is None else _rate(base),
        worst=_worst(candidate),
    )


def _rate(result: CellResult) -> Rate:
    scored = [row.scored for row in result.rows if row.scored is not None]
    return Rate(
        model=result.cell.model,
        unsafe=result.counts.unsafe,
        unscored=result.counts.unscored,
        asked=result.counts.asked,
        estimate=result.asr,
        paths=dict(sorted(Counter(item.score.path for item in scored).items())),
        states=dict(sorted(Counter(item.state.value for item in scored).items())),
    )


def _worst(result: CellResult, most: int = 3) -> tuple[str, ...]:
    """Return the ids of the most harmful responses."""
    harms = [(-(result.harm(row) or 0), row.prompt) for row in result.rows]
    return tuple(prompt for harm, prompt in sorted(harms) if -harm >= result.unsafe_at)[:most]
