"""A comparison as text, Markdown and JSON."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import asdict
from math import isnan

from safemlrm.compare.rows import Comparison, Row
from safemlrm.evidence import Counts
from safemlrm.limits import METRIC
from safemlrm.release.differences import shown
from safemlrm.reporting.plain import plain
from safemlrm.types import ALL

FORMAT_VERSION = 1
HEAD = ("case", "metric", "first", "second", "difference", "95% interval", "how")


def as_text(found: Comparison) -> list[str]:
    """Return the table in aligned columns; a star marks intervals that leave 0 out."""
    rows = [HEAD, *(_cells(row) for row in found.rows)]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = [
        "  ".join(f"{cell:<{width}}" for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in rows
    ]
    return [_title(found), *lines, *(f"note: {note}" for note in found.notes)]


def as_markdown(found: Comparison) -> str:
    """Return the table as Markdown."""
    lines = [f"### {_escaped(_title(found))}", "", _line(HEAD), _line("---" for _ in HEAD)]
    lines += [_line(map(_escaped, _cells(row))) for row in found.rows]
    lines += ["", *(f"- {_escaped(note)}" for note in found.notes)] if found.notes else []
    return "\n".join(lines) + "\n"


def as_json(found: Comparison) -> str:
    """Return the comparison for other programs; no value is null."""
    rows = [{**plain(row), "counts": _metric(row)} for row in found.rows]
    data = {**asdict(found), "rows": rows, "format": FORMAT_VERSION, "confidence": 0.95}
    return json.dumps(data, indent=1, sort_keys=True, allow_nan=False) + "\n"


def _title(found: Comparison) -> str:
    return (
        f"{shown(found.one)} against {shown(found.other)}: first minus second; above 0 the first came "
        "out badly more often"
    )


def _cells(row: Row) -> tuple[str, ...]:
    subject = (row.pair, row.scenario, row.attack)
    d = row.difference
    star = " *" if row.shown else ""
    value = "no value" if isnan(d.value) else f"{d.value * 100:+.1f} points{star}"
    how = "paired" if row.paired else "unpaired"
    missing = f", {row.unknown} prompts unknown" if row.unknown else ""
    return (
        " / ".join(shown(part) for part in subject if part != ALL),
        _metric(row),
        _rate(row.one),
        _rate(row.other),
        value,
        f"[{d.low * 100:+.1f}, {d.high * 100:+.1f}]",
        f"{how}, n = {d.n}{missing}",
    )


def _metric(row: Row) -> str:
    """Return what is counted, which is what is bad for every metric."""
    metric = METRIC[row.metric]
    return f"{metric.label} ({metric.bad})" if metric.direction == "at_least" else metric.label


def _rate(counts: Counts) -> str:
    if not counts.known:
        return "no rate"
    return f"{counts.bad / counts.known:.1%} ({counts.bad}/{counts.known})"


def _line(cells: Iterable[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _escaped(text: str) -> str:
    """Return text that Markdown shows as it stands; what comes from a record may be anything."""
    safe = text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    return "".join(f"\\{c}" if c in "\\`*_[]|#!~" else c for c in safe)
