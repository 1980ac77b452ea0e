"""The `safemlrm` command: what is done outside a test run."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING

import click

from safemlrm.errors import SafemlrmError

if TYPE_CHECKING:
    from safemlrm.verdict import Reader


@click.group()
@click.version_option(package_name="pytest-safemlrm")
def main() -> None:
    """Measure models and accept runs; the gate itself is `pytest`."""


@main.command()
@click.option("--config", "file", default="safety.toml", show_default=True, help="The safety.toml.")
@click.option("--profile", help="Overlay [profiles.NAME].")
@click.option("--pair", "pairs", multiple=True, help="Only this pair; may be repeated.")
def measure(file: str, profile: str | None, pairs: tuple[str, ...]) -> None:
    """Ask every configured case and store the answers; decide later with --safety-replay."""
    from safemlrm.config import load_config
    from safemlrm.matrix import build_matrix
    from safemlrm.measure import measure as measure_plan
    from safemlrm.plan import build_plan
    from safemlrm.responses.store import Store

    with _one_line():
        config = load_config(Path(file), profile)
        matrix = build_matrix(config)
        plan = build_plan(matrix, matrix.select(pairs=pairs or None))
        progress = ClickProgress()
        with Store(config.store_path) as store:
            measure_plan(plan, config, matrix, store, "safemlrm measure", progress)
        if progress.failed:
            raise SafemlrmError("not every model could be measured")


@main.command()
@click.argument("pair")
@click.option("--config", "file", default="safety.toml", show_default=True, help="The safety.toml.")
@click.option("--profile", help="The profile that was measured.")
@click.option("--by", required=True, help="Who accepts.")
@click.option("--reason", required=True, help="Why this release is good enough to compare with.")
@click.option("--anyway", is_flag=True, help="Accept although a gate fails or evidence is missing.")
def accept(pair: str, file: str, profile: str | None, by: str, reason: str, anyway: bool) -> None:
    """Keep what PAIR's candidate was measured to do, for pairs with base = "baseline"."""
    from safemlrm.baselines import accept as accept_results
    from safemlrm.baselines import baseline_path, write_baseline
    from safemlrm.config import load_config, suggest
    from safemlrm.matrix import build_matrix
    from safemlrm.responses.store import Store
    from safemlrm.verdict import Reader

    with _one_line():
        config = load_config(Path(file), profile)
        matrix = build_matrix(config)
        if pair not in matrix.pairs:
            raise SafemlrmError(f"there is no pair {pair!r}{suggest(pair, matrix.pairs)}")
        with Store(config.store_path, read_only=True) as store:
            reader = Reader.of(config, matrix, store, None)
            cells = reader.cells
            refused = [] if anyway else _not_passed(reader, pair)
            if refused:
                raise SafemlrmError(
                    f"{pair} does not pass ({refused[0]}); --anyway accepts it still"
                )
            results = [cells.candidate(case) for case in matrix.cases_of(pair)]
            baseline = accept_results(
                pair,
                results,
                cells.instrument(pair),
                dict(cells.identity(matrix.pairs[pair][0]).parts),
                by=by,
                reason=reason,
                today=date.today(),
            )
        path = baseline_path(config.reports_path, pair)
        write_baseline(baseline, path)
        click.echo(f"accepted {len(results)} cells of {pair}: {path}; commit it")


def _not_passed(reader: Reader, pair: str) -> list[str]:
    """Return the decisions on a pair that failed or lack evidence."""
    from safemlrm.reporting.record import records_of
    from safemlrm.types import Reason, Tier, Verdict

    cases = reader.cells.matrix.cases_of(pair)
    records = [record for case in cases for record in records_of(reader.evaluate(case))]
    records += records_of(reader.evaluate_tier(Tier(pair)))
    return [
        f"{r.title}: {r.sentence}"
        for r in records
        if r.verdict is Verdict.FAIL or r.reason is Reason.MISSING
    ]


class ClickProgress:
    """Writes a line when a model starts and when it is done."""

    def __init__(self) -> None:
        self.failed = False
        self._model, self._asked, self._stored = "", 0, 0

    def wait(self) -> None:
        """Say that another run is measuring."""
        click.echo("another run is measuring into this store; waiting for it")

    def start(self, model: str, cells: int, prompts: int) -> None:
        """Say what comes."""
        self._model, self._asked, self._stored = model, 0, 0
        click.echo(f"{model}: {cells} cells, {prompts} prompts")

    def advance(self, asked: int, stored: int) -> None:
        """Count."""
        self._asked += asked
        self._stored += stored

    def cut(self, reason: str) -> None:
        """Say that the budget ended the asking."""
        click.echo(f"{self._model}: {reason} is spent; the rest was not asked")

    def broken(self, reason: str) -> None:
        """Say why a model could not be measured."""
        self.failed = True
        click.echo(f"{self._model}: BROKEN: {reason}", err=True)

    def finish(self) -> None:
        """Say what it cost."""
        click.echo(f"{self._model}: asked {self._asked}, from the store {self._stored}")


@contextmanager
def _one_line() -> Iterator[None]:
    """Show our own errors as one line; anything else is a defect and keeps its traceback."""
    try:
        yield
    except SafemlrmError as error:
        raise click.ClickException(str(error)) from None
