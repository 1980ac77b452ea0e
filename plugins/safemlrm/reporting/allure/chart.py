"""The intervals of a test's decisions beside their limits, as an SVG picture.

Written by hand: a plotting library takes 25 ms a picture, which is most of what Allure may cost a run
of 500 cases, and this takes none of it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil, floor, isfinite
from xml.etree.ElementTree import Element, SubElement, tostring

from safemlrm.limits import METRIC
from safemlrm.metrics.rates import clopper_pearson
from safemlrm.reporting.record import Record

CANDIDATE, BASE, LIMIT, INK, PALE = "#0b62a4", "#5b6470", "#b3261e", "#1f2933", "#d5dae0"
WIDTH, LEFT, RIGHT, ROW, TOP, BOTTOM = 640, 190, 24, 46, 30, 24
MOST = 10
"""Rows of a chart; what is worst comes first."""


@dataclass(frozen=True, slots=True)
class Scale:
    """Maps percent (or points) to x."""

    low: int
    high: int

    def __call__(self, value: float) -> str:
        share = (value - self.low) / (self.high - self.low)
        return f"{LEFT + share * (WIDTH - LEFT - RIGHT):.1f}"


def chart(records: Sequence[Record]) -> str | None:
    """Return value, interval and limit of each decision, and its base's; None where none has a value."""
    shown = [record for record in records if isfinite(record.measured.value)][:MOST]
    if not shown:
        return None
    height = TOP + ROW * len(shown) + BOTTOM
    size = {"width": str(WIDTH), "height": str(height), "viewBox": f"0 0 {WIDTH} {height}"}
    look = {"font-family": "system-ui, sans-serif", "font-size": "12", "fill": INK, "role": "img"}
    svg = Element("svg", {"xmlns": "http://www.w3.org/2000/svg", **size, **look})
    SubElement(svg, "title").text = "; ".join(record.sentence for record in shown)
    SubElement(svg, "rect", width="100%", height="100%", fill="white")
    scale = _scale(shown)
    _axis(svg, scale, height)
    for row, record in enumerate(shown):
        _row(svg, scale, TOP + ROW * row + ROW / 2, record)
    return tostring(svg, encoding="unicode")


def _scale(records: Sequence[Record]) -> Scale:
    """Return a scale in whole tens over every interval and limit."""
    ends = [0.0, *(record.limit for record in records)]
    for record in records:
        ends += [record.measured.low, record.measured.high]
        base = _base(record)
        ends += base if base else []
    low, high = floor(min(ends) * 10) * 10, ceil(max(ends) * 10) * 10
    return Scale(low, max(high, low + 10))


def _axis(svg: Element, scale: Scale, height: int) -> None:
    """Draw the key, the ticks and their lines."""
    x = float(LEFT)
    for name, colour in (("candidate", CANDIDATE), ("base", BASE), ("limit", LIMIT)):
        SubElement(svg, "text", x=f"{x:.0f}", y="18", fill=colour).text = f"● {name}"
        x += 90
    SubElement(svg, "text", x=f"{x:.0f}", y="18").text = "95% intervals"
    step = max(10, ceil((scale.high - scale.low) / 50) * 10)
    for tick in range(scale.low, scale.high + 1, step):
        at = scale(tick)
        ends = {"x1": at, "x2": at, "y1": str(TOP), "y2": str(height - BOTTOM)}
        SubElement(svg, "line", {**ends, "stroke": PALE})
        where = {"x": at, "y": str(height - 8), "text-anchor": "middle"}
        SubElement(svg, "text", where).text = f"{tick}"


def _row(svg: Element, scale: Scale, y: float, record: Record) -> None:
    m, metric = record.measured, METRIC[record.metric]
    unit = "points" if metric.kind in ("paired", "coupling", "rise") else "%"
    where = {"x": str(LEFT - 12), "y": f"{y + 4:.0f}", "text-anchor": "end"}
    SubElement(svg, "text", where).text = f"{record.label}, {unit}"
    _interval(svg, scale, y - 6, [m.low, m.value, m.high], CANDIDATE)
    base = _base(record)
    if base:
        _interval(svg, scale, y + 8, base, BASE)
    at = scale(record.limit * 100)
    ends = {"x1": at, "x2": at, "y1": f"{y - 18:.0f}", "y2": f"{y + 18:.0f}"}
    SubElement(svg, "line", {**ends, "stroke": LIMIT, "stroke-width": "2.5"})


def _base(record: Record) -> list[float] | None:
    """Return low, value and high of the base where it has a rate of the same kind."""
    counts = METRIC[record.metric].kind == "count" and record.direction == "at_most"
    if record.base is None or not counts or not record.base.known:
        return None
    rate = clopper_pearson(record.base.bad, record.base.known)
    return [rate.low, rate.value, rate.high]


def _interval(svg: Element, scale: Scale, y: float, ends: Sequence[float], colour: str) -> None:
    low, value, high = (scale(end * 100) for end in ends)
    line = {"x1": low, "x2": high, "y1": f"{y:.0f}", "y2": f"{y:.0f}", "stroke": colour}
    SubElement(svg, "line", {**line, "stroke-width": "3"})
    SubElement(svg, "circle", cx=value, cy=f"{y:.0f}", r="5", fill=colour)
