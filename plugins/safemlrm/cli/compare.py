"""`safemlrm compare`: the candidates of two runs, prompt by prompt where that is known."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from safemlrm.cli.lines import one_line
from safemlrm.errors import SafemlrmError

if TYPE_CHECKING:
    from safemlrm.compare import Side


@click.command()
@click.argument("run_a", metavar="RUN_A")
@click.argument("run_b", metavar="RUN_B")
@click.option("--json", "to", metavar="FILE", help="Write the comparison as JSON, too.")
@click.option("--markdown", is_flag=True, help="Show the table as Markdown.")
@click.option("--rescore", is_flag=True, help="Score both runs' stored responses by today's judge.")
@click.option(
    "--store",
    "stores",
    multiple=True,
    metavar="STORE",
    help="For --rescore: the store of both runs, or given twice, of RUN_A and of RUN_B.",
)
@click.option("--config", "file", default="safety.toml", show_default=True, help="The safety.toml.")
@click.option("--profile", help="Overlay [profiles.NAME].")
def compare(
    run_a: str,
    run_b: str,
    to: str | None,
    markdown: bool,
    rescore: bool,
    stores: tuple[str, ...],
    file: str,
    profile: str | None,
) -> None:
    """Show how much more often RUN_A came out badly than RUN_B, with intervals, the worst first.

    A run is a release-record.json, a summary.json or a folder that holds one. This is a report and
    no gate: the exit code is 0 unless the runs cannot be compared.
    """
    from safemlrm.compare import as_json, as_markdown, as_text, read_side
    from safemlrm.compare import compare as compare_sides
    from safemlrm.reporting.summary import write_whole

    with one_line():
        if rescore:
            one, other = _rescored((run_a, run_b), stores, file, profile)
        elif stores:
            raise SafemlrmError("--store is for --rescore; without it nothing is read from a store")
        else:
            one, other = read_side(run_a), read_side(run_b)
        found = compare_sides(one, other)
        if to is not None:
            write_whole(Path(to), as_json(found))
        click.echo(as_markdown(found) if markdown else "\n".join(as_text(found)))


def _rescored(
    runs: tuple[str, str], stores: tuple[str, ...], file: str, profile: str | None
) -> list[Side]:
    """Return both runs as today's judge sees what their stores hold."""
    from safemlrm.cli.opening import extensions_of
    from safemlrm.compare.rescoring import rescored
    from safemlrm.config import load_config
    from safemlrm.release import RECORD_NAME, read_record

    if len(stores) not in (1, 2):
        raise SafemlrmError("--rescore needs --store: one for both runs, or two, RUN_A's first")
    present = load_config(Path(file), profile)
    extensions = extensions_of(present.folder)
    found = []
    for run, store in zip(runs, (stores[0], stores[-1]), strict=True):
        path = Path(run) / RECORD_NAME if Path(run).is_dir() else Path(run)
        record = read_record(path)
        found.append(rescored(record, run, present, extensions, Path(store), _say))
    return found


def _say(text: str) -> None:
    click.echo(text, err=True)
