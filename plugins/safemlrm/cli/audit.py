"""`safemlrm audit`: how far the judge agrees with people, and what follows from where it does not."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from safemlrm.cli.lines import one_line
from safemlrm.errors import ConfigError, NotMeasured

if TYPE_CHECKING:
    from safemlrm.audit import Judged
    from safemlrm.evidence import CellResult
    from safemlrm.reading import Cells
    from safemlrm.types import Case


@click.command()
@click.argument("labels", required=False)
@click.option("--config", "file", default="safety.toml", show_default=True, help="The safety.toml.")
@click.option("--profile", help="The profile that was measured.")
@click.option("--pair", "pairs", multiple=True, help="Draw from this pair only; may be repeated.")
@click.option(
    "--half-width",
    "half",
    type=click.FloatRange(0, 1, min_open=True, max_open=True),
    default=0.05,
    show_default=True,
    help="How close the corrected ASR is wanted, for the labels still needed.",
)
@click.option("--drop-unknown", is_flag=True, help="Leave out labels of responses not stored.")
@click.option("--draw", "wanted", type=click.IntRange(min=1), help="Draw so many to label.")
@click.option("--to", "target", help="The new file to draw into: JSON Lines, or .csv.")
@click.option("--seed", default=0, show_default=True, help="Which sample is drawn.")
@click.option("--benign", is_flag=True, help="Draw from what should be helped, not refused.")
@click.option("--label", "asking", is_flag=True, help="Ask for the labels LABELS waits for.")
@click.option("--by", help="Who labels.")
@click.option("--full", is_flag=True, help="Show or write questions and responses UNREDACTED.")
def audit(
    labels: str | None,
    file: str,
    profile: str | None,
    pairs: tuple[str, ...],
    half: float,
    drop_unknown: bool,
    wanted: int | None,
    target: str | None,
    seed: int,
    benign: bool,
    asking: bool,
    by: str | None,
    full: bool,
) -> None:
    """Compare LABELS by people (JSON Lines or CSV) with the judge's verdicts on the same responses.

    --draw N --to FILE writes a sample of responses to label, without any text; LABELS given with it are
    not drawn again. LABELS --label --by NAME asks for what is not filled in yet, one at a time.
    """
    from safemlrm.cli.opening import open_matrix
    from safemlrm.reading import Cells
    from safemlrm.responses.store import Store

    _check_options(labels, wanted, target, asking, by, full)
    if pairs and wanted is None:
        raise click.UsageError("--pair belongs to --draw; an audit is of the judge, for all pairs")
    with one_line():
        config, matrix = open_matrix(file, profile)
        cases = matrix.select(pairs=pairs or None)
        with Store(config.store_path, read_only=True) as store:
            cells = Cells(config, matrix, store, None)
            pool = _pool(cells, cases)
            if wanted is not None and target is not None:
                wanted_of = "help" if benign else "refuse"
                pool = [judged for judged in pool if judged.expectation == wanted_of]
                _draw(cells, pool, wanted, Path(target), seed, labels, full=full)
            elif asking and labels is not None and by is not None:
                _ask(cells, pool, Path(labels), by, full=full)
            elif labels is not None:
                _audit(cells, pool, Path(labels), cases, half, drop_unknown=drop_unknown)


def _check_options(
    labels: str | None,
    wanted: int | None,
    target: str | None,
    asking: bool,
    by: str | None,
    full: bool,
) -> None:
    """Refuse options that do not go together, before anything is read."""
    if (wanted is None) != (target is None):
        raise click.UsageError("--draw N and --to FILE go together")
    if asking and wanted is not None:
        raise click.UsageError("--draw writes a file and --label asks for one; do one at a time")
    if asking and not (labels and by and by.strip()):
        raise click.UsageError("--label needs the file LABELS to add to, and --by NAME")
    if labels is None and wanted is None:
        raise click.UsageError("name a file of LABELS, or draw one by --draw N --to FILE")
    if full and not asking and wanted is None:
        raise click.UsageError("--full belongs to --draw or --label; an audit shows no texts")


def _pool(cells: Cells, cases: Iterable[Case]) -> list[Judged]:
    """Return what is stored of the cases; `NotMeasured` where that is nothing."""
    from safemlrm.audit import pool_of

    found: list[CellResult] = []
    lacking: NotMeasured | None = None
    for case in cases:
        for side in (0, 1) if cells.matrix.base(case) else (0,):
            try:
                result = cells.both(case)[1] if side else cells.candidate(case)
            except NotMeasured as error:
                lacking = lacking or error
            else:
                found += [result] if result is not None else []
    if not found and lacking is not None:
        raise lacking
    return pool_of(found)


def _audit(
    cells: Cells,
    pool: list[Judged],
    path: Path,
    cases: Iterable[Case],
    half: float,
    *,
    drop_unknown: bool,
) -> None:
    from safemlrm.audit import audit as compare
    from safemlrm.audit import audit_lines, audit_text, match, read_labels, refuse_unknown
    from safemlrm.reporting.summary import write_whole

    config, file = cells.config, read_labels(path)
    found = match(file, pool, config.gate.unsafe_at)
    if not drop_unknown or not found.labelled:
        refuse_unknown(file, found.unknown)
    pairs = {case.pair: cells.matrix.pairs[case.pair] for case in cases}
    done = compare(
        found.labelled,
        pool,
        pairs,
        judge=(config.gate.judge, cells.scorer(pool[0].cell.model).judge.digest),
        policy=(config.gate.unsafe_at, config.limits.channel),
        labels=(file.digest, max(label.day for label in file.labels)),
        half=half,
    )
    for line in audit_lines(done):
        click.echo(line)
    waits = len(file.labels) - len(file.filled)
    if found.unknown:
        click.echo(
            f"note: {len(found.unknown)} labels of responses that are not stored were left out"
        )
    if waits:
        click.echo(f"note: {waits} rows of {path.name} are not filled in")
    write_whole(config.audit_path, audit_text(done))
    click.echo(f"written: {config.audit_path}")


def _draw(
    cells: Cells,
    pool: Sequence[Judged],
    wanted: int,
    target: Path,
    seed: int,
    labels: str | None,
    *,
    full: bool,
) -> None:
    from safemlrm.audit import draw, read_labels
    from safemlrm.cli.labelling import drawn_text
    from safemlrm.reporting.summary import write_whole

    if target.exists():
        raise ConfigError(f"{target}: is there already, and may hold labels; name a new file")
    if full and target.suffix.lower() == ".csv":
        raise ConfigError(
            f"{target}: a spreadsheet may run what a model wrote; draw --full to .jsonl"
        )
    known = read_labels(Path(labels)).labels if labels else ()
    drawn = draw(pool, wanted, seed, {label.key or label.place for label in known})
    if not drawn:
        raise ConfigError(
            f"nothing is left to draw: all {len(pool)} responses are labelled or unscored"
        )
    write_whole(target, drawn_text(cells, drawn, table=target.suffix.lower() == ".csv", full=full))
    models = len({judged.cell.model for judged in drawn})
    texts = ", with UNREDACTED texts" if full else ""
    click.echo(
        f"drew {len(drawn)} of {len(pool)} responses of {models} models into {target}{texts}"
    )
    click.echo(
        f"fill in harm (0-5) and refused, or: safemlrm audit {target} --label --by NAME --full"
    )


def _ask(cells: Cells, pool: list[Judged], path: Path, by: str, *, full: bool) -> None:
    from safemlrm.audit import read_labels, refuse_unknown, waiting
    from safemlrm.cli.labelling import ask

    if path.suffix.lower() == ".csv":
        raise ConfigError(f"{path}: --label adds to JSON Lines only; draw to a .jsonl file")
    file = read_labels(path)
    left, unknown = waiting(file, pool)
    refuse_unknown(file, unknown)
    answered = ask(cells, path, left, by.strip(), full=full)
    click.echo(f"{answered} labelled, {len(left) - answered} left; audit: safemlrm audit {path}")
