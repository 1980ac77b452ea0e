"""The page's charts, drawn by matplotlib: rates by case, by model, by length of prefill, by run."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

from markupsafe import Markup

from safemlrm.reporting.curve import Curve, words
from safemlrm.reporting.page.svg import (
    BASE,
    CANDIDATE,
    GRID,
    INK,
    LIMIT,
    MUTED,
    SURFACE,
    drawing,
)
from safemlrm.reporting.phrases import cut, share
from safemlrm.types import Estimate

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

WIDTH = 9.0
"""Inches; the page scales the drawing to its column."""
SMALL, SIZE = 9, 10
LABEL = 44
"""Characters of a name in a chart; the table beside it has it whole."""
WHOLE = 1.02
"""Where an axis over all rates ends: 1.0 would cut the marks at 100% in half."""
GLYPHS = {"candidate": "o", "base": "D"}


@dataclass(frozen=True, slots=True)
class Span:
    """A case in the dumbbell chart, in rates; the limit where it has one."""

    label: str
    base: Estimate
    candidate: Estimate
    limit: float | None = None


@dataclass(frozen=True, slots=True)
class Point:
    """A model in the scatter chart; `role` is "base" or "candidate"."""

    label: str
    role: str
    refused: Estimate
    unsafe: Estimate


@dataclass(frozen=True, slots=True)
class Series:
    """A pair's rates over its runs, oldest first."""

    label: str
    runs: Sequence[tuple[datetime, Estimate]]


def dumbbell(name: str, title: str, spans: Sequence[Span]) -> Markup:
    """Draw base and candidate of each case on one line, with their intervals and the limit."""
    figure, axes = _figure(0.34 * len(spans) + 0.9)
    for place, span in enumerate(spans):
        axes.plot([span.base.value, span.candidate.value], [place, place], color=MUTED, lw=1.2)
        _rate(axes, span.base, place + 0.13, "base")
        _rate(axes, span.candidate, place - 0.13, "candidate")
        if span.limit is not None:
            axes.plot([span.limit] * 2, [place - 0.4, place + 0.4], color=LIMIT, lw=1.5, ls=":")
    axes.set_ylim(len(spans) - 0.4, -0.6)
    axes.set_yticks(range(len(spans)), [_label(span.label) for span in spans], parse_math=False)
    axes.tick_params(axis="y", length=0)
    _percent(axes, "x", most=WHOLE)
    axes.set_xlabel(
        "share of responses that were unsafe, with 95% interval", color=MUTED, size=SMALL
    )
    said = "; ".join(
        f"{_label(s.label)}: base {s.base.value:.0%}, candidate {s.candidate.value:.0%}"
        for s in spans
    )
    return drawing(figure, name, title, said)


def scatter(name: str, title: str, points: Sequence[Point]) -> Markup:
    """Draw how often each model refuses the harmless against how often it answers the harmful."""
    figure, axes = _figure(4.2)
    for point in points:
        x, y = point.refused, point.unsafe
        colour = CANDIDATE if point.role == "candidate" else BASE
        axes.plot([x.low, x.high], [y.value] * 2, color=colour, lw=1.2, alpha=0.6)
        axes.plot([x.value] * 2, [y.low, y.high], color=colour, lw=1.2, alpha=0.6)
        axes.plot(x.value, y.value, GLYPHS[point.role], color=colour, ms=8, mec=SURFACE)
        axes.annotate(
            _label(point.label),
            (x.value, y.value),
            xytext=(9, 7),
            textcoords="offset points",
            color=INK,
            size=SIZE,
            parse_math=False,
        )
    for axis in ("x", "y"):
        _percent(axes, axis, most=_most(points, axis))
    axes.set_xlabel("over-refusal: harmless questions refused", color=MUTED, size=SMALL)
    axes.set_ylabel("ASR: harmful questions answered unsafely", color=MUTED, size=SMALL)
    said = "; ".join(
        f"{_label(p.label)}: over-refusal {p.refused.value:.1%}, ASR {p.unsafe.value:.1%}"
        for p in points
    )
    return drawing(figure, name, title, said)


def climb(name: str, title: str, curve: Curve) -> Markup:
    """Draw ASR over the length of the prefill, evenly spaced: most lengths are short, one is long."""
    figure, axes = _figure(3.0)
    known = [(place, p.asr) for place, p in enumerate(curve.points) if p.asr.n]
    axes.plot([x for x, _ in known], [rate.value for _, rate in known], color=CANDIDATE, lw=1.8)
    for x, rate in known:
        axes.plot([x] * 2, [rate.low, rate.high], color=CANDIDATE, lw=2.2, alpha=0.45)
        axes.plot(x, rate.value, GLYPHS["candidate"], color=CANDIDATE, ms=7, mec=SURFACE)
    axes.set_xticks(range(len(curve.points)), [str(p.words) for p in curve.points])
    axes.set_xlim(-0.5, len(curve.points) - 0.5)
    _percent(axes, "y", most=WHOLE)
    axes.set_xlabel("words put into the candidate's mouth", color=MUTED, size=SMALL)
    axes.set_ylabel("ASR", color=MUTED, size=SMALL)
    said = "; ".join(f"after {words(p.words)} {share(p.asr)}" for p in curve.points)
    return drawing(figure, name, title, said)


def trend(name: str, title: str, series: Series) -> Markup:
    """Draw a pair's ASR over past runs, evenly spaced: builds matter here, not nights without one."""
    figure, axes = _figure(2.6)
    places = range(len(series.runs))
    rates = [rate for _, rate in series.runs]
    axes.fill_between(
        places, [r.low for r in rates], [r.high for r in rates], color=CANDIDATE, alpha=0.15, lw=0
    )
    axes.plot(places, [r.value for r in rates], "o-", color=CANDIDATE, lw=1.8, ms=5, mec=SURFACE)
    step = max(1, -(-len(rates) // 8))
    axes.set_xticks(list(places)[::step], [f"{at:%d %b}" for at, _ in series.runs][::step])
    axes.set_xlim(-0.5, len(rates) - 0.5)
    _percent(axes, "y", most=min(1.0, max(r.high for r in rates) * 1.15 + 0.01))
    axes.set_ylabel("ASR", color=MUTED, size=SMALL)
    first, last = rates[0].value, rates[-1].value
    said = f"{len(rates)} runs: ASR {first:.1%} in the first, {last:.1%} in the last"
    return drawing(figure, name, title, said)


def _figure(height: float) -> tuple[Figure, Axes]:
    """Return an empty drawing; not through pyplot, which keeps figures and picks a backend."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(WIDTH, height), layout="constrained", facecolor="none")
    axes = figure.add_subplot(facecolor="none")
    for side in ("top", "right", "left"):
        axes.spines[side].set_visible(False)
    axes.spines["bottom"].set_color(GRID)
    axes.tick_params(colors=INK, labelsize=SIZE, color=GRID)
    return figure, axes


def _percent(axes: Axes, axis: str, most: float = 1.0) -> None:
    from matplotlib.ticker import PercentFormatter

    one = axes.xaxis if axis == "x" else axes.yaxis
    one.set_major_formatter(PercentFormatter(1.0, decimals=1 if most < 0.1 else 0))
    if axis == "x":
        axes.set_xlim(-0.01 * most, most)
        axes.grid(axis="x", color=GRID, lw=0.8)
    else:
        axes.set_ylim(-0.01 * most, most)
        axes.grid(axis="y", color=GRID, lw=0.8)
    axes.set_axisbelow(True)


def _rate(axes: Axes, rate: Estimate, place: float, role: str) -> None:
    colour = CANDIDATE if role == "candidate" else BASE
    axes.plot([rate.low, rate.high], [place] * 2, color=colour, lw=2.2, alpha=0.45)
    axes.plot(rate.value, place, GLYPHS[role], color=colour, ms=7, mec=SURFACE)


def _most(points: Sequence[Point], axis: str) -> float:
    rates = [point.refused if axis == "x" else point.unsafe for point in points]
    return min(WHOLE, max(0.1, max(rate.high for rate in rates) * 1.2 + 0.02))


def _label(name: str) -> str:
    """Keep to characters that every font has: matplotlib warns of others while it measures them."""
    return cut(name, LABEL).encode("ascii", "replace").decode("ascii")
