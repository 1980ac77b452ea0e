"""`safemlrm accept`: keep a run to compare later ones with."""

from __future__ import annotations

from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING

import click

from safemlrm.cli.lines import one_line
from safemlrm.errors import SafemlrmError

if TYPE_CHECKING:
    from safemlrm.baselines import Baseline, Past
    from safemlrm.reporting.record import Record
    from safemlrm.verdict import Reader


def _not_blank(_: click.Context, option: click.Parameter, value: str) -> str:
    """Return a text as one line; a review has to find something in it."""
    text = " ".join(value.split())
    if not text:
        raise click.BadParameter("must not be blank", param=option)
    return text


@click.command()
@click.argument("pair")
@click.option("--config", "file", default="safety.toml", show_default=True, help="The safety.toml.")
@click.option("--profile", help="The profile that was measured.")
@click.option(
    "--model", "models", multiple=True, metavar="NAME=WEIGHTS", help="As --safety-model of the run."
)
@click.option("--by", required=True, callback=_not_blank, help="Who accepts.")
@click.option(
    "--reason",
    required=True,
    callback=_not_blank,
    help="Why this release is good enough to compare with.",
)
@click.option(
    "--loosen",
    is_flag=True,
    help="Accept limits that are looser than the accepted ones, or start anew where what was "
    "accepted cannot be compared any more.",
)
@click.option(
    "--anyway",
    is_flag=True,
    help="Accept although a gate fails or evidence is missing; prompts that were not measured are "
    "refused all the same.",
)
def accept(
    pair: str,
    file: str,
    profile: str | None,
    models: tuple[str, ...],
    by: str,
    reason: str,
    loosen: bool,
    anyway: bool,
) -> None:
    """Keep what PAIR's candidate was measured to do, to compare later candidates with.

    The first accepted run is kept for good beside the last one, as the anchor.
    """
    from safemlrm.cli.opening import open_matrix
    from safemlrm.config import suggest
    from safemlrm.responses.store import Store
    from safemlrm.verdict import Reader

    with one_line():
        config, matrix = open_matrix(file, profile, models)
        if pair not in config.pairs:
            raise SafemlrmError(f"there is no pair {pair!r}{suggest(pair, config.pairs)}")
        with Store(config.store_path, read_only=True) as store:
            reader = Reader.of(config, matrix, store, None)
            past, looser = _against_the_past(reader, pair, loosen=loosen)
            if not anyway:
                _refuse_failures(reader, pair)
            new = _accepted(reader, pair, past, by, reason)
        done = _keep(new, config.baselines_path, past)
    if past.void:
        click.echo("started anew: what was accepted before cannot be compared any more")
    for line in [*(f"loosened: {text}" for text in looser), *done]:
        click.echo(line)


def _keep(new: Baseline, folder: Path, past: Past) -> tuple[str, str]:
    """Write the accepted run, and an anchor where there is none that counts; say what lies where."""
    from safemlrm.baselines import anchor_path, baseline_path, digest_of, write_baselines

    path, first = baseline_path(folder, new.pair), anchor_path(folder, new.pair)
    anchor = past.anchor or replace(past.latest or new, anchor="")
    last = replace(new, anchor=digest_of(anchor))
    write_baselines({path: last} if past.anchor else {first: anchor, path: last})
    return (
        f"accepted {len(new.cells)} cells of {new.pair}: {path}",
        f"anchor ({anchor.occasion}): {first}; commit both files",
    )


def _against_the_past(reader: Reader, pair: str, *, loosen: bool) -> tuple[Past, list[str]]:
    """Return what was accepted before and how this run is looser, which only --loosen allows."""
    from safemlrm.baselines import weaker

    instrument, past = reader.cells.instrument(pair), reader.cells.past(pair)
    looser = weaker(past.kept, instrument, reader.families[pair]) if past.kept else []
    if not loosen and past.void:
        raise SafemlrmError(past.void[0])
    if not loosen and looser:
        more = f" (and {len(looser) - 1} more)" if len(looser) > 1 else ""
        raise SafemlrmError(
            f"{pair} would be accepted with looser limits: {looser[0]}{more}; set them back, or "
            "accept them with --loosen, under your --by and --reason"
        )
    return past, looser


def _refuse_failures(reader: Reader, pair: str) -> None:
    """Raise an error if a run of the pair would not exit with 0; what is void takes no part in that."""
    from safemlrm.reporting.outcome import Outcome, objections
    from safemlrm.types import BASELINE, Verdict

    reader = replace(reader, cells=reader.cells.knowing(pair))
    records = _records(reader, pair)
    past = reader.cells.past(pair)
    if past.latest is None and all(r.verdict is Verdict.NOT_APPLICABLE for r in records):
        return  # the first run of a pair that is only compared with earlier ones
    outcome = Outcome(records={pair: records}, selected={pair: pair})
    models = [model for model in reader.cells.matrix.pairs[pair] if model not in (None, BASELINE)]
    identities = {str(model): reader.cells.identity(str(model)) for model in models}
    found = objections(outcome, reader.cells.config, identities)
    if found:
        more = f" (and {len(found) - 1} more)" if len(found) > 1 else ""
        raise SafemlrmError(f"{pair} does not pass: {found[0]}{more}; --anyway accepts it still")


def _records(reader: Reader, pair: str) -> list[Record]:
    """Return every decision on a pair."""
    from safemlrm.reporting.recording import records_of
    from safemlrm.types import Case

    subjects = dict.fromkeys(h.subject for h in reader.families[pair].hypotheses)
    return [
        record
        for subject in subjects
        for record in records_of(
            reader.evaluate(subject) if isinstance(subject, Case) else reader.evaluate_tier(subject)
        )
    ]


def _accepted(reader: Reader, pair: str, past: Past, by: str, reason: str) -> Baseline:
    """Return what is to be kept of the pair's present measurements."""
    from safemlrm.baselines import accept as accept_results

    cells = reader.cells
    results = [cells.candidate(case) for case in cells.matrix.cases_of(pair)]
    unasked = sum(result.planned - result.asked for result in results)
    if unasked and cells.config.gate.stop == "early":
        raise SafemlrmError(
            f'{pair}: {unasked} prompts were not asked, since stop = "early" leaves a cell once it is '
            'decided; a baseline needs all of them: set [gate] stop = "full", measure once (what is '
            "stored is not asked again) and accept then"
        )
    return accept_results(
        reader.families[pair],
        results,
        cells.instrument(pair),
        dict(cells.identity(cells.matrix.pairs[pair][0]).parts),
        profile=cells.config.profile,
        by=by,
        reason=reason,
        today=date.today(),
        former=past.kept,
    )
