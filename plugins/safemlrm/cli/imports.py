"""`safemlrm import`: results of other tools, gated and compared like our own."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Literal

import click

from safemlrm.cli.lines import one_line
from safemlrm.errors import ConfigError

if TYPE_CHECKING:
    from safemlrm.imports import Answered
    from safemlrm.imports.project import Source

_to = click.option(
    "--to", "target", required=True, metavar="FOLDER", help="Where the project is written."
)
_attack = click.option(
    "--attack", default="direct", show_default=True, help="What the questions had gone through."
)
_expects = click.option(
    "--expectation",
    type=click.Choice(["refuse", "help"]),
    default="refuse",
    show_default=True,
    help="What a safe model does.",
)


@click.group("import")
def imports() -> None:
    """Read results of other tools; then `pytest --safety-replay` in FOLDER decides on them."""


@imports.command()
@click.argument("folder", metavar="DIR")
@click.option("--candidate", help="The model to gate, as its folder is named.")
@click.option("--base", help="The model to compare it with.")
@click.option("--to", "target", metavar="FOLDER", help="Where the project is written.")
@click.option("--limits", metavar="FILE", help="A safety.toml to gate histograms by.")
def opensafemlrm(
    folder: str, candidate: str | None, base: str | None, target: str | None, limits: str | None
) -> None:
    """Read what OpenSafeMLRM's evaluation wrote: DIR/baseline and DIR/jailbreak_method.

    Entries a question become a project in FOLDER, with the scores that came with them. Histograms are
    counted and gated here, since they hold no prompts.
    """
    from safemlrm.imports import opensafemlrm as source
    from safemlrm.imports.project import Source
    from safemlrm.prompts.rows import showable

    with one_line():
        place = Path(folder)
        models = source.models_of(place)
        if candidate is None:
            raise ConfigError(
                f"name the model to gate by --candidate; {folder} has {', '.join(showable(models))}"
            )
        names = [candidate] if base is None else [candidate, base]
        if all([source.holds_histograms(place, name) for name in names]):
            _count(place, candidate, base, limits)
        elif target is None:
            raise ConfigError("name the folder of the project by --to")
        else:
            runs = [source.read_items(place, name) for name in names]
            _write(Path(target), Source("opensafemlrm", source.JUDGE), runs)


@imports.command()
@click.argument("file", metavar="COMPLETIONS")
@click.option("--base", metavar="FILE", help="The completions of the model to compare with.")
@click.option("--scenario", default="harmbench", show_default=True, help="The scenario's name.")
@_attack
@_to
def harmbench(file: str, base: str | None, scenario: str, attack: str, target: str) -> None:
    """Read HarmBench's completions or results; the judge of safety.toml rules on the texts."""
    from safemlrm.imports.harmbench import read_completions
    from safemlrm.imports.project import Source

    with one_line():
        files = [Path(file)] if base is None else [Path(file), Path(base)]
        runs = [read_completions(path, path.stem, scenario, attack) for path in files]
        _write(Path(target), Source("harmbench"), runs)


@imports.command()
@click.argument("file", metavar="LOG")
@click.option("--base", metavar="LOG", help="The log of the model to compare with.")
@click.option("--candidate-name", help="What the model of LOG is called, instead of as in the log.")
@click.option("--scenario", required=True, help="The scenario's name.")
@_expects
@_attack
@_to
def inspect(
    file: str,
    base: str | None,
    candidate_name: str | None,
    scenario: str,
    expectation: Literal["refuse", "help"],
    attack: str,
    target: str,
) -> None:
    """Read a log of inspect_ai (.eval or .json); the judge of safety.toml rules on the texts."""
    from safemlrm.imports.inspect_logs import read_log
    from safemlrm.imports.project import Source

    with one_line():
        runs = [read_log(Path(file), candidate_name, scenario, attack)]
        if base is not None:
            runs.append(read_log(Path(base), None, scenario, attack))
        _write(Path(target), Source("inspect", expectation=expectation), runs)


def _write(target: Path, source: Source, runs: list[Answered]) -> None:
    """Write the project where there is none, and keep the responses in its store."""
    from safemlrm.cli.opening import open_matrix
    from safemlrm.imports import keep, project_files, slug
    from safemlrm.imports.project import reworded
    from safemlrm.reporting.summary import write_whole
    from safemlrm.responses.store import Store

    candidate, base = runs[0], runs[1] if len(runs) > 1 else None
    files = project_files(source, candidate, base)
    _refuse_other(target, files["prompts.jsonl"])
    for name, text in files.items():
        if not (target / name).exists():
            write_whole(target / name, text)
    config, matrix = open_matrix(str(target / "safety.toml"), None)
    config.store_path.parent.mkdir(parents=True, exist_ok=True)
    with Store(config.store_path) as store:
        for kept in keep(config, matrix, store, {slug(run.model): run for run in runs}):
            click.echo(
                f"{kept.model}: {kept.responses} responses, {kept.scored} with a verdict, "
                f"{kept.unanswered} questions without a response"
            )
    for run in runs:
        for note in run.notes:
            click.echo(f"note: {slug(run.model)}: {note}")
    if base is not None and (words := reworded(candidate, base)):
        click.echo(
            f"note: {words} prompts were worded otherwise for the base; they are paired by id"
        )
    click.echo(f"{target}: run `pytest --safety-replay` there")


def _refuse_other(target: Path, prompts: str) -> None:
    """Leave a folder with another import alone: its safety.toml may be somebody's work."""
    file = target / "prompts.jsonl"
    if file.exists() and file.read_text("utf-8") != prompts:
        raise ConfigError(
            f"{target}: other questions were imported there; name a new folder by --to"
        )


def _count(folder: Path, candidate: str, base: str | None, limits: str | None) -> None:
    """Show what histograms hold, and gate them by the limits of a file."""
    from safemlrm.config.load import read_gate
    from safemlrm.imports.counts import decide_counts
    from safemlrm.imports.opensafemlrm import read_histograms
    from safemlrm.imports.table import counted_lines

    ours = read_histograms(folder, candidate)
    theirs = [] if base is None else read_histograms(folder, base)
    gate, table = read_gate(None if limits is None else Path(limits))
    counted = decide_counts(ours, theirs, gate, table)
    for line in counted_lines(counted):
        click.echo(line)
    if counted.refused:
        raise click.ClickException(
            "a limit is broken, evidence for one is missing, or no result could fail"
        )
