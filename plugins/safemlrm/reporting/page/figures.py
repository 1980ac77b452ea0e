"""What each chart of the page shows, chosen from the decisions and bounded."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from markupsafe import Markup

from safemlrm.metrics.rates import clopper_pearson
from safemlrm.reporting.curve import Curve
from safemlrm.reporting.page.cases import CaseView, estimate
from safemlrm.reporting.page.charts import Point, Series, Span, climb, dumbbell, scatter, trend
from safemlrm.reporting.page.history import History
from safemlrm.reporting.record import Answers, Record
from safemlrm.types import Estimate

MOST = 24
"""Cases in a dumbbell chart; the worst of more."""
RUNS = 60
"""Runs in a trend; the newest of more."""


@dataclass(frozen=True, slots=True)
class Chart:
    """A drawing of one pair or of all, the rows it was drawn from, and how many it leaves out."""

    pair: str
    svg: Markup
    spans: Sequence[Span] = ()
    points: Sequence[Point] = ()
    curve: Curve | None = None
    omitted: int = 0


def dumbbells(views: Iterable[CaseView]) -> list[Chart]:
    """Return a chart of base against candidate for each pair that has a base."""
    spans: dict[str, list[Span]] = {}
    for view in views:
        leading = view.leading
        if leading.metric not in ("asr", "reasoning_tax") or leading.base is None:
            continue
        base, candidate = estimate(leading.base), estimate(leading.candidate)
        if base.n and candidate.n:
            limit = leading.limit if leading.metric == "asr" else None
            label = f"{leading.scenario} / {leading.attack}"
            spans.setdefault(leading.pair, []).append(Span(label, base, candidate, limit))
    charts = []
    for number, (pair, found) in enumerate(sorted(spans.items()), start=1):
        found.sort(key=lambda span: (span.base.value - span.candidate.value, span.label))
        shown = found[:MOST]
        svg = dumbbell(f"dumbbell-{number}", f"Base against candidate, {pair}", shown)
        charts.append(Chart(pair, svg, spans=shown, omitted=len(found) - len(shown)))
    return charts


def refusals(views: Iterable[CaseView]) -> Chart | None:
    """Return a chart of over-refusal against ASR over all cases of each model, None without both."""
    counts: dict[tuple[str, str], dict[tuple[str, str], Answers]] = {}
    roles: dict[str, Literal["base", "candidate"]] = {}
    for record in (record for view in views for record in view.records):
        if record.metric not in ("asr", "over_refusal"):
            continue
        for role, answers in (("base", record.base), ("candidate", record.candidate)):
            if answers is not None:
                roles[answers.model] = "candidate" if role == "candidate" else "base"
                cells = counts.setdefault((answers.model, record.metric), {})
                cells[record.scenario, record.attack] = answers
    points = []
    for model, role in sorted(roles.items()):
        refused, unsafe = (_pooled(counts, model, metric) for metric in ("over_refusal", "asr"))
        if refused is not None and unsafe is not None:
            points.append(Point(model, role, refused, unsafe))
    if not points:
        return None
    return Chart("", scatter("scatter", "Over-refusal against ASR", points), points=points)


def _pooled(
    counts: Mapping[tuple[str, str], Mapping[tuple[str, str], Answers]], model: str, metric: str
) -> Estimate | None:
    answers = counts.get((model, metric), {}).values()
    known = sum(each.known for each in answers)
    return clopper_pearson(sum(each.bad for each in answers), known) if known else None


def positions(curves: Iterable[Curve]) -> list[Chart]:
    """Return a chart for each pair that was asked with prefills of several lengths."""
    return [
        Chart(
            curve.pair,
            climb(f"position-{number}", f"ASR of {curve.pair} by length of prefill", curve),
            curve=curve,
        )
        for number, curve in enumerate(curves, start=1)
    ]


def trends(history: Sequence[History], profile: str | None) -> list[Chart]:
    """Return a chart for each pair that was decided whole in two or more runs of the profile."""
    found: dict[str, list[tuple[History, Estimate]]] = {}
    for run in history:
        for pair, standing in run.pairs.items():
            if run.profile == profile and standing.whole and standing.rate is not None:
                found.setdefault(pair, []).append((run, standing.rate))
    charts = []
    for number, (pair, entries) in enumerate(sorted(found.items()), start=1):
        if len(entries) > 1:
            runs = [(run.at, rate) for run, rate in entries[-RUNS:]]
            svg = trend(f"trend-{number}", f"ASR of {pair} over past runs", Series(pair, runs))
            charts.append(Chart(pair, svg, omitted=len(entries) - len(runs)))
    return charts


@dataclass(frozen=True, slots=True)
class Saved:
    """How many of a model's planned responses its decisions did without."""

    model: str
    planned: int
    needed: int

    @property
    def left(self) -> int:
        """The responses that were not needed."""
        return self.planned - self.needed


def savings(records: Iterable[Record]) -> list[Saved]:
    """Return what stopping saved for each model: a cell is asked until its last decision stands."""
    cells: dict[tuple[str, str, str], tuple[int, int]] = {}
    for record in records:
        if "all" in record.subject:
            continue
        for answers in filter(None, (record.candidate, record.base)):
            key = (answers.model, record.scenario, record.attack)
            planned, needed = cells.get(key, (record.n, 0))
            cells[key] = (max(planned, record.n), max(needed, record.stopped or record.n))
    models = sorted({model for model, _, _ in cells})
    return [
        Saved(
            model,
            sum(planned for key, (planned, _) in cells.items() if key[0] == model),
            sum(needed for key, (_, needed) in cells.items() if key[0] == model),
        )
        for model in models
    ]
