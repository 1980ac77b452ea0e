"""`safemlrm measure`: ask on one machine what another decides later."""

from __future__ import annotations

import click

from safemlrm.cli.lines import one_line
from safemlrm.errors import SafemlrmError

CUT = 3
"""The exit code where a budget ended the asking: what is stored is sound, and not everything."""


@click.command()
@click.option("--config", "file", default="safety.toml", show_default=True, help="The safety.toml.")
@click.option("--profile", help="Overlay [profiles.NAME].")
@click.option("--pair", "pairs", multiple=True, help="Only this pair; may be repeated.")
@click.option(
    "--model", "models", multiple=True, metavar="NAME=WEIGHTS", help="As --safety-model of a run."
)
@click.pass_context
def measure(
    context: click.Context,
    file: str,
    profile: str | None,
    pairs: tuple[str, ...],
    models: tuple[str, ...],
) -> None:
    """Ask every configured case and store the answers; decide later with --safety-replay.

    Exit code 0: everything is stored; 1: a model could not be measured, or nothing could be; 3: the
    budget was spent, and the rest was not asked.
    """
    from safemlrm.canary import with_canaries
    from safemlrm.cli.opening import open_matrix
    from safemlrm.measure import measure as measure_plan
    from safemlrm.plan import build_plan
    from safemlrm.responses.store import Store

    with one_line():
        config, matrix = open_matrix(file, profile, models)
        plan = build_plan(matrix, matrix.select(pairs=pairs or None))
        plan = with_canaries(plan, matrix, config)
        progress = ClickProgress()
        with Store(config.store_path) as store:
            measure_plan(plan, config, matrix, store, "safemlrm measure", progress)
        if progress.failed:
            raise SafemlrmError("not every model could be measured")
    if progress.cut_short:
        context.exit(CUT)


class ClickProgress:
    """Writes a line when a model starts and when it is done."""

    def __init__(self) -> None:
        self.failed = self.cut_short = False
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
        self.cut_short = True
        click.echo(f"{self._model}: {reason} is spent; the rest was not asked")

    def broken(self, reason: str) -> None:
        """Say why a model could not be measured."""
        self.failed = True
        click.echo(f"{self._model}: BROKEN: {reason}", err=True)

    def finish(self) -> None:
        """Say what it cost."""
        click.echo(f"{self._model}: asked {self._asked}, from the store {self._stored}")
