"""The closing section on one screen: what did not pass, worst first, and what to know beside it (pure)."""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from safemlrm.audit import spelled
from safemlrm.family import Family
from safemlrm.reporting.contract import contract_lines
from safemlrm.reporting.curve import curve_briefs, curve_lines
from safemlrm.reporting.outcome import Outcome, partial
from safemlrm.reporting.phrases import (
    counted,
    coupling_lines,
    cut,
    tax_lines,
    warning_lines,
)
from safemlrm.reporting.record import Record
from safemlrm.reporting.sight import sight_lines
from safemlrm.types import Verdict

COLOURS = {Verdict.PASS: "green", Verdict.FAIL: "red"}
GAP = "  "
LEAST = 12
"""A subject keeps so many columns, however narrow the terminal is."""


@dataclass(frozen=True, slots=True)
class Line:
    """A line of the terminal with its colour, which says nothing that its words do not."""

    text: str
    colour: str = ""


@dataclass(frozen=True, slots=True)
class Room:
    """How much is shown: rows of the table, lines of each list, and whether details are."""

    rows: int
    lines: int
    details: bool


@dataclass(frozen=True, slots=True)
class Sheet:
    """What the section is written for: columns, room, the command to repeat, files, models' weights."""

    width: int
    room: Room
    again: str
    files: Sequence[str] = ()
    hidden: int = 0
    full: bool = False
    weights: Mapping[str, str] = field(default_factory=dict)


def room_of(verbosity: int) -> Room:
    """Return what a verbosity shows: -q less, -v more, -vv everything."""
    if verbosity < 0:
        return Room(rows=5, lines=1, details=False)
    if verbosity == 0:
        return Room(rows=12, lines=3, details=False)
    most = 40 if verbosity == 1 else sys.maxsize
    return Room(rows=most, lines=most, details=True)


def closing_lines(
    outcome: Outcome, families: Mapping[str, Family], notes: Sequence[str], sheet: Sheet
) -> list[Line]:
    """Return the section below its title, the verdict last; no line holds a control character."""
    found = [*_decided(outcome, sheet), *_beside(outcome, families, notes, sheet)]
    found.append(_verdict(outcome, sheet.files))
    return [Line(spelled(line.text), line.colour) for line in found]


def _decided(outcome: Outcome, sheet: Sheet) -> Iterator[Line]:
    records, room = outcome.worst_first, sheet.room
    shown = records[: room.rows]
    for record, text in zip(shown, table(shown, sheet.width), strict=True):
        yield Line(text, COLOURS.get(record.verdict, "yellow"))
    if len(records) > len(shown):
        rest = Counter(record.verdict.value for record in records[len(shown) :])
        counts = ", ".join(f"{number} {verdict}" for verdict, number in rest.items())
        yield Line(f"... and {counts} (-v shows more; summary.md and summary.json have all)")
    if sheet.hidden:
        left = counted(sheet.hidden, "more failed tests")
        yield Line(f"... the texts of {left} are left out above (-v)")
    if records and records[0].verdict is not Verdict.PASS:
        yield Line(f"again: {again_command(records[0], sheet.again)}")
    counts = ", ".join(f"{number} {verdict}" for verdict, number in outcome.verdicts.items())
    yield Line(f"decisions: {counts or 'none'}; broken tests: {len(outcome.broken)}")


def _beside(
    outcome: Outcome, families: Mapping[str, Family], notes: Sequence[str], sheet: Sheet
) -> Iterator[Line]:
    """Yield what to know beside the decisions, each list cut to its room."""
    room = sheet.room
    if room.lines > 1:
        for picture in outcome.pictures[: room.rows]:
            lines = tax_lines(picture)
            yield from _some(lines, 1 + room.lines)
            yield from map(Line, coupling_lines(picture) if room.details else ())
        yield from _context(outcome, families, sheet)
    yield from _some(
        [f"PARTIAL: {text}" for text in partial(outcome, families)], room.lines, "yellow"
    )
    if sheet.full:
        yield Line("attach = full: reports of this run may hold the models' texts", "red")
    if outcome.screened:
        yield Line("PASS means: screened by rules, the judge of this run")
    yield from _some(notes, room.lines, "red")


def _context(outcome: Outcome, families: Mapping[str, Family], sheet: Sheet) -> Iterator[Line]:
    room = sheet.room
    if outcome.identities:
        yield _models(outcome, sheet)
    contract = contract_lines(outcome)
    yield from map(Line, contract if room.details else contract[:1])
    if room.details:
        yield from map(Line, curve_lines(outcome.curves))
    else:
        yield from _some(curve_briefs(outcome.curves), room.lines)
    yield from _some(sight_lines(outcome), room.lines)
    warnings = warning_lines(outcome.worst_first, families)
    if not room.details:
        warnings = [f"{line.rstrip(':')}; -v lists them" for line in warnings[:1]]
    yield from _some(warnings, 1 + room.lines, "yellow")


def _models(outcome: Outcome, sheet: Sheet) -> Line:
    """Say what the models were, with their weights where all of it has room on one line."""
    models = {model: f"{model} {each.digest[:12]}" for model, each in outcome.identities.items()}
    weighed = [
        f"{text} ({sheet.weights[model]})" if model in sheet.weights else text
        for model, text in models.items()
    ]
    line = f"models: {', '.join(weighed)}"
    return Line(line if len(line) <= sheet.width else f"models: {', '.join(models.values())}")


def _some(lines: Iterable[str], most: int, colour: str = "") -> Iterator[Line]:
    """Yield so many lines, and how many there are beyond them."""
    found = list(lines)
    yield from (Line(text, colour) for text in found[:most])
    if len(found) > most:
        yield Line(f"... and {counted(len(found) - most, 'more lines')} like it (-v)", colour)


def _verdict(outcome: Outcome, files: Sequence[str]) -> Line:
    """Say how the run ended and where to read more; the last line a person sees of it."""
    colour = {"FAILED": "red", "NOT PASSED": "red", "passed": "green"}
    where = f"; reports: {', '.join(files)}" if files else "; no report was written"
    return Line(f"verdict: {outcome.headline}{where}", colour.get(outcome.headline, "yellow"))


def _last_word(record: Record) -> str:
    return record.label.rpartition(" ")[2]


# What a row shows, from wide to narrow; in the narrowest the subject is cut to fit.
ROWS: tuple[Callable[[Record], tuple[str, ...]], ...] = (
    lambda r: (r.headline, r.title, r.label, r.observed, r.zones, r.against),
    lambda r: (r.headline, r.title, r.label, r.observed, r.zones),
    lambda r: (r.headline, r.title, r.label, r.observed, r.bound, r.against),
    lambda r: (r.headline, r.title, r.label, r.observed, r.bound),
    lambda r: (r.headline, r.title, r.label, r.brief, r.bound),
    lambda r: (r.headline, r.title.replace(" / ", "/"), _last_word(r), r.brief, r.bound),
    lambda r: (r.verdict.value, r.title.replace(" / ", "/"), _last_word(r), r.brief, r.bound),
)


def table(records: Sequence[Record], width: int) -> list[str]:
    """Return a row a record, as much of it as fits; no row is wider than a terminal that has room."""
    if not records:
        return []
    for row in ROWS:
        cells = [row(record) for record in records]
        widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
        total = sum(widths) + len(GAP) * (len(widths) - 1)
        if total <= width:
            break
    else:
        widths[1] = max(widths[1] - (total - width), LEAST)
    return [
        GAP.join(f"{cut(cell, w):<{w}}" for cell, w in zip(line, widths, strict=True)).rstrip()
        for line in cells
    ]


def again_command(record: Record, command: str) -> str:
    """Return the command that decides one subject again from the store."""
    return f'{command} -m "{record.expression}" --safety-replay'


def written(folder: Path, shown: str) -> list[str]:
    """Return the reports that lie in a folder, as a person may open them, the easiest first."""
    names = ("index.html", "summary.md", "summary.json", "release-record.json")
    found = [name for name in names if (folder / name).is_file()]
    return [f"{shown}/{name}" if n == 0 else name for n, name in enumerate(found)]
