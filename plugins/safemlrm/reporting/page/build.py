"""summary.json, account, history and worst responses of a run -> one HTML text (pure), and the file."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from importlib.resources import files
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

from safemlrm.reporting.phrases import broken_lines, counted, matched, points, share, times
from safemlrm.reporting.summary import write_whole
from safemlrm.reporting.worst import Worst
from safemlrm.types import ALL

if TYPE_CHECKING:
    from jinja2 import Environment

    from safemlrm.reporting.page.history import History
    from safemlrm.reporting.record import Record

NAME = "index.html"
MISSING = "no page was written: `pip install 'pytest-safemlrm[report]'` brings reports/index.html"
TEXTS = 600_000
"""Bytes of responses that a page holds under attach = "full"; the rest is in the store."""
MOST = 12
"""Lines of a list that are shown at once; the rest is folded."""


@dataclass(frozen=True, slots=True)
class Facts:
    """What the page says beside summary.json: how the run ended, when, and how to look again."""

    headline: str
    at: datetime
    again: str
    attach: str = "redacted"
    notes: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()


def is_possible() -> bool:
    """Whether the packages of the extra `report` are there."""
    return all(find_spec(name) for name in ("jinja2", "matplotlib"))


def write_page(text: str, folder: Path) -> None:
    """Write index.html, whole or not at all."""
    write_whole(folder / NAME, text)


def render(
    summary: Mapping[str, Any],
    account: Mapping[str, Mapping[str, float]],
    history: Sequence[History],
    worst: Mapping[tuple[str, str, str], Sequence[Worst]],
    facts: Facts,
) -> str:
    """Return the page; nothing of it depends on anything but the arguments."""
    from safemlrm.reporting.page.cases import grids_of, views_of
    from safemlrm.reporting.page.figures import dumbbells, positions, refusals, savings, trends
    from safemlrm.reporting.page.marks import LEGEND
    from safemlrm.reporting.page.reading import audit_in, curves_in, pictures_in, records_in

    records = records_in(summary)
    views = views_of(records, _bounded(worst))
    style, script = _asset("style.css"), _asset("script.js")
    return (
        _environment()
        .get_template("page.html.jinja")
        .render(
            summary=summary,
            facts=facts,
            account=account,
            runs=list(reversed(history))[:MOST],
            older=max(0, len(history) - MOST),
            records=records,
            reasons=_reasons(summary, records),
            views=views,
            cases=[view for view in views.values() if not view.whole],
            grids=grids_of(summary, views),
            pictures=pictures_in(summary),
            dumbbells=dumbbells(views.values()),
            refusals=refusals(views.values()),
            positions=positions(curves_in(summary)),
            trends=trends(history, summary["profile"]),
            savings=savings(records),
            audit=audit_in(summary),
            broken=broken_lines(summary["broken"]),
            unrun=_grouped(summary["not_run"]),
            legend=LEGEND,
            most=MOST,
            style=style,
            script=script,
            style_digest=_digest(style),
            script_digest=_digest(script),
        )
    )


def _reasons(summary: Mapping[str, Any], records: Iterable[Record]) -> list[str]:
    """Return the objections to the run as a whole; those to a case stand in the list of cases."""
    of_cases = {f"{record.title}: {record.sentence}" for record in records}
    return [text for text in summary["objections"] if text not in of_cases]


def _grouped(left: Iterable[Mapping[str, str]]) -> dict[str, dict[str, list[str]]]:
    """Gather what did not run by pair and metric: five hundred lines of it tell nobody anything."""
    found: dict[str, dict[str, list[str]]] = {}
    for entry in left:
        parts = [part for part in (entry["scenario"], entry["attack"]) if part != ALL]
        metrics = found.setdefault(entry["pair"], {})
        metrics.setdefault(entry["metric"], []).append(" / ".join(parts) or "the pair as a whole")
    return found


def _bounded(
    worst: Mapping[tuple[str, str, str], Sequence[Worst]],
) -> Mapping[tuple[str, str, str], Sequence[Worst]]:
    """Leave out the texts beyond what a page holds, those of the cases that come last."""
    from dataclasses import replace

    from safemlrm.reporting.page.words import said

    room, found = TEXTS, {}
    for subject, rows in worst.items():
        kept = []
        for row in rows:
            room -= len(said(row.text).encode("utf-8")) if row.text is not None else 0
            kept.append(row if room > 0 else replace(row, text=None))
        found[subject] = kept
    return found


@lru_cache(maxsize=1)
def _environment() -> Environment:
    from jinja2 import Environment, PackageLoader, StrictUndefined

    from safemlrm.audit import comparison_line, kappa_text
    from safemlrm.reporting.curve import words
    from safemlrm.reporting.page.marks import mark_of
    from safemlrm.reporting.page.words import brief, said, stacked, tame

    environment = Environment(
        loader=PackageLoader("safemlrm.reporting.page", "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        finalize=tame,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters.update(
        compared=comparison_line,
        kappa=kappa_text,
        share=share,
        counted=counted,
        matched=matched,
        points=points,
        times=times,
        brief=brief,
        said=said,
        stacked=stacked,
        words=words,
        mark=mark_of,
    )
    return environment


def _asset(name: str) -> Any:
    """Return a file of ours as it is: the policy of the page allows it by its digest."""
    from markupsafe import Markup

    text = files("safemlrm.reporting.page").joinpath(name).read_text("utf-8")
    return Markup(text)  # a file of this package


def _digest(text: str) -> str:
    return base64.b64encode(hashlib.sha256(text.encode("utf-8")).digest()).decode("ascii")
