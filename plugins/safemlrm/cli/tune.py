"""`safemlrm tune`: limits from runs of a known-good model."""

from __future__ import annotations

from collections.abc import Iterable
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING

import click

from safemlrm.cli.lines import one_line
from safemlrm.errors import SafemlrmError

if TYPE_CHECKING:
    from safemlrm.config import Config
    from safemlrm.matrix import Matrix
    from safemlrm.tune import Run, Tuned


@click.command()
@click.argument("runs", nargs=-1)
@click.option("--config", "file", default="safety.toml", show_default=True, help="The safety.toml.")
@click.option("--profile", help="The profile the limits are for.")
@click.option("--pair", "pairs", multiple=True, help="Only this pair; may be repeated.")
@click.option(
    "--above", default="0.05", show_default=True, help="How far a limit lies from the rate."
)
def tune(
    runs: tuple[str, ...], file: str, profile: str | None, pairs: tuple[str, ...], above: str
) -> None:
    """Suggest [limits] from RUNS: summary.json files, or the report folders that hold one."""
    from safemlrm.cli.opening import open_matrix
    from safemlrm.tune import histories, suggest, terms_of

    with one_line():
        config, matrix = open_matrix(file, profile)
        chosen = {case.pair for case in matrix.select(pairs=pairs or None)}
        scorers = _scorers(config, matrix)
        present = {
            pair: terms_of(config, matrix, pair, scorer=scorers.get(pair, ""))
            for pair in sorted(chosen)
        }
        found = histories(_read_runs(runs), present)
        tuned = suggest(found, config, matrix, _above(above))
        _show(tuned, _block(tuned.config), len(runs))


def _scorers(config: Config, matrix: Matrix) -> dict[str, str]:
    """Return the key of each pair's scores where a model judges, which the store has met; else nothing."""
    from safemlrm.judging import judge_models
    from safemlrm.reading import Cells
    from safemlrm.responses.store import Store

    if not judge_models(config):
        return {}
    with Store(config.store_path, read_only=True) as store:
        cells = Cells(config, matrix, store, None)
        return {pair: cells.scorer(sides[0]).key for pair, sides in matrix.pairs.items()}


def _read_runs(runs: Iterable[str]) -> list[Run]:
    from safemlrm.tune import read_run

    found = []
    for name in runs:
        path = Path(name) / "summary.json" if Path(name).is_dir() else Path(name)
        try:
            found.append(read_run(name, path.read_text("utf-8")))
        except (OSError, UnicodeDecodeError):
            raise SafemlrmError(
                f"{name}: there is no summary.json to read; `pytest --safety-observe` writes one into "
                "the folder of [report]"
            ) from None
    if not found:
        raise SafemlrmError(
            "name one run or more of a model that is known to be good: a summary.json, or the folder "
            "that holds it"
        )
    return found


def _above(text: str) -> Fraction:
    from safemlrm.metrics.binomial import exact_fraction

    try:
        above = exact_fraction(text)
    except ValueError:
        above = Fraction(-1)
    if not 0 <= above < 1:
        raise SafemlrmError(f"--above {text}: expected a rate from 0 to 1, such as 0.05")
    return above


def _block(config: Config) -> str:
    """Return what is to be pasted, after reading it as it will be read from the file."""
    from safemlrm.config.load import read_tables
    from safemlrm.tune import block, read_back

    text = block(config)
    tables = read_tables(config.file)
    try:
        right = read_back(text, tables, config.profile) == config.limits
    except (ValueError, LookupError):
        right = False
    if not right:
        raise SafemlrmError(
            f"{config.file}: the suggested block would be read as other limits than these; this is a "
            "defect of tune: please report it, and write the limits by hand"
        )
    return text


def _show(tuned: Tuned, text: str, runs: int) -> None:
    """Write the table, the build, and last what is to be pasted."""
    from safemlrm.tune import build_lines, note_lines, table_lines

    for line in [*table_lines(tuned.suggestions), "", *build_lines(tuned.builds)]:
        click.echo(line)
    for note in note_lines(tuned):
        click.echo(f"note: {note}")
    click.echo(f"\n# suggested by safemlrm tune from {runs} runs; instead of the limits")
    click.echo(f"# and overrides that are there now\n{text}", nl=False)
