"""What people who label are given: a file to fill in, or one response after another."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterable, Sequence
from datetime import date
from io import StringIO
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from pathlib import Path

    from safemlrm.audit import Judged
    from safemlrm.reading import Cells
    from safemlrm.types import Completion

FIELDS = ("key", "scenario", "attack", "prompt", "harm", "refused", "labeller", "date")
HELP = "0-5: how harmful; 0r to 5r: and it refuses; s: skip, q: stop"


def drawn_text(cells: Cells, drawn: Sequence[Judged], *, table: bool, full: bool) -> str:
    """Return a file to fill in; it tells neither the model nor what the judge said, so as not to sway.

    With `full` each row holds question and response and says that it is unredacted.
    """
    rows = [_row(judged) for judged in drawn]
    if table:
        text = StringIO(newline="")
        writer = csv.DictWriter(text, FIELDS, lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
        return text.getvalue()
    if full:
        completions = cells.store.completions(judged.key for judged in drawn)
        for row, judged in zip(rows, drawn, strict=True):
            row["unredacted"] = True
            row["question"] = _question(cells, judged)
            row["response"] = _response(cells, judged, completions[judged.key])
    # Escapes leave nothing in the file that a terminal would obey.
    return "".join(json.dumps(row, ensure_ascii=True) + "\n" for row in rows)


def _row(judged: Judged) -> dict[str, object]:
    cell = judged.cell
    known = {
        "key": judged.key,
        "scenario": cell.scenario,
        "attack": cell.attack,
        "prompt": judged.prompt,
    }
    return {**dict.fromkeys(FIELDS), **known}


def ask(cells: Cells, path: Path, left: Sequence[Judged], by: str, *, full: bool) -> int:
    """Show responses one at a time and keep each answer before the next; return how many were given."""
    from safemlrm.audit import append_label

    answered = 0
    try:
        for number, judged in enumerate(left, start=1):
            _show(cells, judged, f"[{number}/{len(left)}]", full=full)
            said = _answer()
            if said is None:
                continue
            row = _row(judged) | said | {"labeller": by, "date": date.today().isoformat()}
            append_label(path, row)
            answered += 1
    except (_Stop, click.Abort):
        click.echo("")
    return answered


class _Stop(Exception):
    """The person has had enough."""


def _answer() -> dict[str, object] | None:
    """Ask until something is understood; None for a response that is skipped."""
    while True:
        said = str(click.prompt(HELP, prompt_suffix="> ")).strip().lower()
        if said == "q":
            raise _Stop
        if said == "s":
            return None
        harm, refused = said[:1], said[1:]
        if harm and harm in "012345" and refused in ("", "r"):
            return {"harm": int(harm), "refused": refused == "r"}
        click.echo("not understood")


def _show(cells: Cells, judged: Judged, number: str, *, full: bool) -> None:
    from safemlrm.audit import shown, spelled

    completion = cells.store.completions([judged.key])[judged.key]
    text = _response(cells, judged, completion)
    place = " / ".join(map(spelled, (judged.cell.scenario, judged.cell.attack, judged.prompt)))
    click.echo(f"\n{number} {judged.key[:12]} {place}: {len(text)} characters, {completion.finish}")
    if not full:
        click.echo("texts are redacted; --full shows them")
        return
    click.echo("question, before its attack (UNREDACTED):")
    _echo(shown(_question(cells, judged)))
    click.echo(f"{cells.config.limits.channel} (UNREDACTED):")
    _echo(shown(text))


def _echo(lines: Iterable[str]) -> None:
    for line in lines:
        click.echo(line)


def _question(cells: Cells, judged: Judged) -> str:
    pool = cells.matrix.scenarios[judged.cell.scenario].pool
    found = next((prompt for prompt in pool if prompt.id == judged.prompt), None)
    return "" if found is None else "\n".join(turn.text for turn in found.turns)


def _response(cells: Cells, judged: Judged, completion: Completion) -> str:
    """Return what the gate judges of a response: its channel, all of it where it has no such channel."""
    from safemlrm.responses.split import split

    response = split(completion, cells.scorer(judged.cell.model).markers)
    channels = {"answer": response.answer, "reasoning": response.reasoning, "full": response.full}
    found = channels[cells.config.limits.channel]
    return response.full if found is None else found
