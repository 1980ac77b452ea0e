"""`safemlrm verify`: a release record against the store and today's safety.toml."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import click

from safemlrm.cli.lines import one_line

if TYPE_CHECKING:
    from safemlrm.release import ReleaseRecord, Verified

NOT_PASSED = 3
"""The exit code of a record that is true and says that its run did not pass."""


@click.command()
@click.argument("record", metavar="RECORD")
@click.option("--config", "file", default="safety.toml", show_default=True, help="The safety.toml.")
@click.option("--candidates", metavar="FILE", help="As --safety-candidates of the run.")
@click.option(
    "--model", "models", multiple=True, metavar="NAME=WEIGHTS", help="As --safety-model of the run."
)
@click.option("--store", metavar="STORE", help="The store; that of safety.toml unless given.")
@click.pass_context
def verify(
    context: click.Context,
    record: str,
    file: str,
    candidates: str | None,
    models: tuple[str, ...],
    store: str | None,
) -> None:
    """Decide again what RECORD says, and name what does not agree.

    The decisions are made from the store by the record's configuration, which is compared with the
    present safety.toml and with the accepted runs. Nothing is written. Exit code 0: all agrees and
    the run passed; 1: something does not agree or could not be checked; 3: all agrees, and the run
    did not pass.
    """
    from safemlrm.cli.opening import extensions_of
    from safemlrm.config import load_config, read_weights
    from safemlrm.release import read_record
    from safemlrm.release import verify as verify_record

    with one_line():
        path = Path(record)
        found = read_record(path / "release-record.json" if path.is_dir() else path)
        given = Path(candidates) if candidates else None
        weights = read_weights("--model", models, Path.cwd())
        config = load_config(Path(file), found.profile, given, weights)
        place = config.store_path if store is None else Path(store)
        result = verify_record(found, config, extensions_of(config.folder), place)
    _say(found, result)
    if not result.agrees:
        context.exit(1)
    if not found.passed:
        context.exit(NOT_PASSED)


def _say(record: ReleaseRecord, result: Verified) -> None:
    for finding in result.findings:
        click.echo(f"DIFFERS  {finding}")
    for text in result.unchecked:
        click.echo(f"NOT CHECKED  {text}")
    for note in result.notes:
        click.echo(f"note: {note}")
    if not result.agrees:
        why = (
            f"{len(result.findings)} difference{'s' if len(result.findings) > 1 else ''}"
            if result.findings
            else "not everything was checked"
        )
        click.echo(f"NOT VERIFIED: {why}")
        return
    profile = "" if record.profile is None else f" under profile {json.dumps(record.profile)[1:-1]}"
    said = "passed" if record.passed else "only observed" if record.observed else "did NOT pass"
    click.echo(
        f"verified: {result.decisions} decisions and {result.responses} responses agree with the store, "
        f"safety.toml and what was accepted; the run of {json.dumps(record.made)[1:-1]}{profile} {said}"
    )
