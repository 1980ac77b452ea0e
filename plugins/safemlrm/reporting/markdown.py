"""reports/summary.md: the decisions for a pull request or a job summary."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from safemlrm.family import Family
from safemlrm.reporting.channels import channel_table
from safemlrm.reporting.contract import contract_lines
from safemlrm.reporting.outcome import Outcome, partial
from safemlrm.reporting.record import Record
from safemlrm.reporting.sight import sight_lines
from safemlrm.reporting.summary import write_whole
from safemlrm.reporting.terminal import picture_lines, warning_lines
from safemlrm.types import Verdict

ROWS = 50


def markdown(
    outcome: Outcome,
    families: Mapping[str, Family],
    notes: Sequence[str],
    *,
    passed: bool,
) -> str:
    """Return the run on one page: verdict first, then what did not pass, then the rest."""
    records = outcome.worst_first
    counts = ", ".join(f"{number} {verdict}" for verdict, number in outcome.verdicts.items())
    lines = [
        f"# Safety gate: {_headline(outcome, passed)}",
        "",
        f"Decisions: {counts or 'none'}.",
        "",
    ]
    if outcome.screened:
        lines += ["PASS means: screened by rules, the judge of this run.", ""]
    lines += [f"- **{note}**" for note in notes]
    lines += [f"- PARTIAL: {shortfall}" for shortfall in partial(outcome, families)]
    lines += [f"- broken: {reason}" for reason in sorted(set(outcome.broken.values()))]
    lines += [
        "",
        "| verdict | case | metric | observed | limit | base |",
        "|---|---|---|---|---|---|",
    ]
    lines += [_row(record) for record in records[:ROWS]]
    if len(records) > ROWS:
        lines.append(f"\n{len(records) - ROWS} more decisions are in summary.json.")
    lines += ["", *(f"- {line.strip()}" for line in warning_lines(records, families))]
    found = [*contract_lines(outcome), *sight_lines(outcome)]
    lines += [f"- {line.strip()}" for line in found]
    for picture in outcome.pictures:
        lines += ["", *(f"- {line.strip()}" for line in picture_lines(picture))]
        lines += ["", *channel_table(picture.channels)]
    return "\n".join(lines) + "\n"


def write_markdown(text: str, folder: Path) -> None:
    """Write summary.md, whole or not at all."""
    write_whole(folder / "summary.md", text)


def _headline(outcome: Outcome, passed: bool) -> str:
    """Say "passed" only where the exit code does."""
    if outcome.observed:
        return "OBSERVED, nothing was gated"
    if any(record.verdict is Verdict.FAIL for record in outcome.worst_first):
        return "FAILED"
    return "passed" if passed else "NOT PASSED"


def _row(record: Record) -> str:
    base = record.against.removeprefix("base ")
    cells = (record.headline, record.title, record.label, record.observed, record.zones, base)
    return f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in cells)} |"
