"""reports/summary.md: the decisions for a pull request's comment or a job summary on GitHub."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType

from safemlrm.audit import spelled
from safemlrm.family import Family
from safemlrm.picture import Picture
from safemlrm.reporting.channels import channel_table
from safemlrm.reporting.contract import contract_lines
from safemlrm.reporting.curve import curve_table
from safemlrm.reporting.outcome import Outcome, partial
from safemlrm.reporting.phrases import broken_lines, picture_lines, warning_lines
from safemlrm.reporting.record import Record
from safemlrm.reporting.sight import sight_lines
from safemlrm.reporting.summary import write_whole
from safemlrm.types import Verdict

MARKER = "<!-- pytest-safemlrm -->"
"""By this line a workflow finds its own comment and writes over it."""
LARGEST = 65_000
"""Characters: a comment on GitHub holds 65,536, and a job summary 1 MiB."""
ROWS = 30
LISTED = 20
WORDS = 500
"""Characters of one line of a list; an error of a server may be long."""
HEADER = (
    "| verdict | case | metric | observed | limit | compared with |",
    "|---|---|---|---|---|---|",
)


def markdown(
    outcome: Outcome,
    families: Mapping[str, Family],
    notes: Sequence[str],
    weights: Mapping[str, str] = MappingProxyType({}),
    *,
    full: bool = False,
) -> str:
    """Return the run on one page: verdict first, then what did not pass, the rest folded away.

    It always fits a comment; what does not is counted, and is in summary.json. `weights` are those that
    models are configured to have.
    """
    records = outcome.worst_first
    passed = [record for record in records if record.verdict is Verdict.PASS]
    others = [record for record in records if record.verdict is not Verdict.PASS]
    parts = [
        [*_head(outcome), *_notices(outcome, families, notes, full=full)],
        _table("What did not pass", others[:ROWS], len(others)),
        _folded("Pairs, judge and legibility", _context(outcome, families, weights)),
        _folded("Refusal position: ASR by words of prefill", curve_table(outcome.curves, code)),
        *map(_channels, outcome.pictures),
        _rows_folded("Everything else that did not pass", others[ROWS:]),
        _rows_folded("What passed, nearest to its limit first", passed),
    ]
    return _fitted(parts)


def write_markdown(text: str, folder: Path) -> None:
    """Write summary.md, whole or not at all."""
    write_whole(folder / "summary.md", text)


def code(text: str) -> str:
    """Return any text as a code span of one line: in it nothing is markup, a link or a mention."""
    line = spelled(text)
    shown = line if len(line) <= WORDS else f"{line[:WORDS]}..."
    longest = max(map(len, re.findall("`+", shown)), default=0)
    fence, pad = "`" * (longest + 1), " " if "`" in shown else ""
    return f"{fence}{pad}{shown or ' '}{pad}{fence}"


def _head(outcome: Outcome) -> Iterator[str]:
    counts = ", ".join(f"{number} {verdict}" for verdict, number in outcome.verdicts.items())
    yield MARKER
    yield f"# Safety gate: {outcome.headline}"
    yield ""
    yield f"Decisions: {counts or 'none'}."
    yield ""


def _notices(
    outcome: Outcome, families: Mapping[str, Family], notes: Sequence[str], *, full: bool
) -> Iterator[str]:
    """Yield what a reader has to know before the table."""
    if full:
        yield "> **attach = full**: reports of this run may hold the models' texts. Do not publish them."
        yield ""
    if outcome.screened:
        yield "PASS means: screened by rules, the judge of this run."
        yield ""
    yield from _list(code(note) for note in notes)
    yield from _list(f"PARTIAL: {code(shortfall)}" for shortfall in partial(outcome, families))
    yield from _list(f"broken: {code(line)}" for line in broken_lines(outcome.broken))


def _list(lines: Iterable[str]) -> Iterator[str]:
    found = list(lines)
    yield from (f"- {line}" for line in found[:LISTED])
    if len(found) > LISTED:
        yield f"- ... and {len(found) - LISTED} more like it"


def _context(
    outcome: Outcome, families: Mapping[str, Family], weights: Mapping[str, str]
) -> list[str]:
    found = [line for picture in outcome.pictures for line in picture_lines(picture)]
    found += [*contract_lines(outcome), *sight_lines(outcome)]
    found += warning_lines(outcome.worst_first, families)
    for model, identity in outcome.identities.items():
        of = f", {weights[model]}" if model in weights else ""
        found.append(f"model {model}: {identity.digest[:12]}{of}")
    return list(_list(code(line.strip()) for line in found))


def _channels(picture: Picture) -> list[str]:
    table = channel_table(picture.channels, code)
    return _folded(f"{picture.pair}: reasoning against answer", table)


def _table(title: str, records: Sequence[Record], of: int) -> list[str]:
    if not records:
        return []
    shown = (
        f"{title} ({of})" if of == len(records) else f"{title} (the worst {len(records)} of {of})"
    )
    return ["", f"### {shown}", "", *HEADER, *map(_row, records)]


def _rows_folded(title: str, records: Sequence[Record]) -> list[str]:
    rows = [*HEADER, *map(_row, records)] if records else []
    return _folded(f"{title} ({len(records)})", rows)


def _folded(title: str, lines: Sequence[str]) -> list[str]:
    """Return lines that are shown on a click; nothing where there are none."""
    if not lines:
        return []
    return ["", f"<details><summary>{title}</summary>", "", *lines, "", "</details>"]


def _row(record: Record) -> str:
    title = code(record.title)
    cells = (record.headline, title, record.label, record.observed, record.zones, record.against)
    return f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in cells)} |"


def _fitted(parts: Iterable[Sequence[str]]) -> str:
    """Join the parts, leaving out rows from the first part that would be too long on."""
    lines: list[str] = []
    room = LARGEST - 200  # for the lines that say what is missing
    for part in parts:
        kept = [line for line in part if (room := room - len(line) - 1) >= 0]
        lines += kept
        if len(kept) < len(part):
            lines += ["", "</details>"] if part[1:2] and part[1].startswith("<details>") else []
            lines += ["", f"{len(part) - len(kept)} more lines are in summary.json."]
            break
    return "\n".join(lines) + "\n"
