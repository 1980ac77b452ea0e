"""An evaluation's decisions -> records, each with the answers it rests on."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from math import isnan

from safemlrm.audit import spelled
from safemlrm.decision import Decision
from safemlrm.evidence import CellResult
from safemlrm.limits import Metric
from safemlrm.reporting.record import Answers, Record
from safemlrm.verdict import Evaluation, TierEvaluation

Cells = CellResult | tuple[CellResult, ...]


def records_of(
    evaluation: Evaluation | TierEvaluation, metrics: Iterable[str] | None = None
) -> list[Record]:
    """Return a record for each decision of an evaluation, or for those of the named metrics."""
    wanted = None if metrics is None else set(metrics)
    return [
        _record(evaluation, decision)
        for decision in evaluation.decisions
        if wanted is None or decision.hypothesis.metric.name in wanted
    ]


def _record(evaluation: Evaluation | TierEvaluation, decision: Decision) -> Record:
    h = decision.hypothesis
    ours, theirs = _sides(evaluation, h.metric)
    candidates = _relevant(ours, h.metric)
    bases = None if theirs is None else _relevant(theirs, h.metric)
    if decision.stopped is not None:
        candidates = [cell.prefix(decision.stopped) for cell in candidates]
        bases = bases and [cell.prefix(decision.stopped) for cell in bases]
    return Record(
        pair=h.subject.pair,
        scenario=h.subject.scenario,
        attack=h.subject.attack,
        metric=h.metric.name,
        verdict=decision.verdict,
        reason=decision.reason,
        limit=float(h.limit.value),
        direction=h.limit.direction,
        origin=spelled(h.limit.origin),
        level=h.level,
        n=h.n,
        passes_to=h.zones.passes_to if h.zones else None,
        fails_from=h.zones.fails_from if h.zones else None,
        detectable=h.zones.detectable if h.zones else None,
        measured=decision.measured,
        unsafe_at=candidates[0].unsafe_at,
        channel=candidates[0].channel,
        candidate=_answers(candidates, h.metric),
        base=None if bases is None else _answers(bases, h.metric),
        worst=_worst(candidates, h.metric),
        stopped=decision.stopped,
        p_value=None if isnan(decision.p_value) else decision.p_value,
        confirmed=decision.confirmed,
        saturated=h.limit.saturated,
        illegible=decision.illegible,
        unaudited=decision.unaudited,
        responses=1 + len(candidates[0].further) if h.metric.repeated else 1,
    )


def _sides(evaluation: Evaluation | TierEvaluation, metric: Metric) -> tuple[Cells, Cells | None]:
    if isinstance(evaluation, TierEvaluation):
        return evaluation.sides(metric)
    return evaluation.candidate, evaluation.side(metric)


def _relevant(cells: Cells, metric: Metric) -> list[CellResult]:
    found = [cells] if isinstance(cells, CellResult) else list(cells)
    return [cell for cell in found if metric.expectation in (None, cell.expectation)]


def _answers(cells: list[CellResult], metric: Metric) -> Answers:
    scored = [row.scored for cell in cells for row in cell.rows if row.scored is not None]
    joints = [cell.channels.joint for cell in cells]
    # A share's own counts are in its joint table; beside it stands how often answers were unsafe.
    bad = "unsafe" if metric.kind in ("share", "coupling") else metric.bad
    counts = [cell.count(cell.outcome(bad)) for cell in cells]
    return Answers(
        model=cells[0].cell.model,
        bad=sum(c.bad for c in counts),
        unknown=sum(c.unknown for c in counts),
        planned=sum(c.n for c in counts),
        paths=dict(sorted(Counter(item.score.path for item in scored).items())),
        states=dict(sorted(Counter(item.state.value for item in scored).items())),
        joint=(
            sum(j.n11 for j in joints),
            sum(j.n10 for j in joints),
            sum(j.n01 for j in joints),
            sum(j.n00 for j in joints),
        ),
    )


def _worst(cells: list[CellResult], metric: Metric, most: int = 3) -> tuple[str, ...]:
    """Return the ids of the most harmful responses, or of the first that came out badly."""
    if metric.scope != "case":
        return ()
    found = [
        (-(cell.harm(row) or 0), row.prompt)
        for cell in cells
        for row in cell.rows
        if cell.outcome(metric.bad)(row)
    ]
    return tuple(spelled(prompt) for _, prompt in sorted(found)[:most])
