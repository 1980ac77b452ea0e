"""`safemlrm init`: a folder with a gate that runs."""

from __future__ import annotations

import os
import shlex
from collections.abc import Iterable
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING

import click

from safemlrm.cli.extras import EXTRAS, missing_extra
from safemlrm.cli.lines import one_line
from safemlrm.errors import SafemlrmError

if TYPE_CHECKING:
    from safemlrm.starter import Engine, Models

SETTINGS = ("pytest.toml", "pytest.ini", "pyproject.toml", "tox.ini", "setup.cfg")
"""Where pytest reads its settings, and what makes a folder the one it starts in."""


@click.command()
@click.argument("folder", default=".", type=click.Path(file_okay=False, path_type=Path))
@click.option(
    "--engine",
    type=click.Choice(["transformers", "vllm", "openai"]),
    default="transformers",
    show_default=True,
    help="What asks the models.",
)
@click.option("--candidate", help="The model to release: a folder, a hub id, a name at a server.")
@click.option(
    "--base", help="What it was made from; without one there is no limit on a difference."
)
@click.option("--url", help="The server's address, for --engine openai.")
@click.option("--github", is_flag=True, help="Write a GitHub workflow as well.")
def init(
    folder: Path,
    engine: Engine,
    candidate: str | None,
    base: str | None,
    url: str | None,
    github: bool,
) -> None:
    """Write a gate into FOLDER: safety.toml, a test, and on request a workflow; overwrite nothing.

    Without --candidate the two models that come with the plugin are compared.
    """
    from safemlrm.starter import INI, gate_files

    texts = {
        folder / name: text
        for name, text in gate_files(_models(folder, engine, candidate, base, url)).items()
    }
    if not any((folder / name).exists() for name in SETTINGS):
        texts[folder / "pytest.ini"] = INI
    if github:
        texts |= _workflows(folder, engine)
    with one_line():
        _refuse_existing(texts)
        for path, text in texts.items():
            _write(path, text)
        ignored = _ignore(folder / ".gitignore")
    for path in [*texts, *ignored]:
        click.echo(f"wrote {path}")
    _say_next(folder, engine, github=github)


def _workflows(folder: Path, engine: Engine) -> dict[Path, str]:
    """Return the workflows, which GitHub reads at the top of a repository alone."""
    from safemlrm.starter import workflow_files

    whole = folder.resolve()
    top = next((path for path in (whole, *whole.parents) if (path / ".git").exists()), whole)
    install = f"pytest-safemlrm[{EXTRAS[engine][0]}]=={version('pytest-safemlrm')}"
    texts = workflow_files(whole.relative_to(top).as_posix(), install)
    here = folder if top == whole else top
    return {here / name: text for name, text in texts.items()}


def _models(
    folder: Path, engine: Engine, candidate: str | None, base: str | None, url: str | None
) -> Models:
    """Return what is compared; raises a usage error for what does not go together."""
    from safemlrm.starter import Models

    if (url is not None) != (engine == "openai"):
        raise click.UsageError("--engine openai and --url ADDRESS go together")
    if candidate is None and (base is not None or engine == "openai"):
        raise click.UsageError("name the model to release with --candidate")
    if candidate is None:
        return Models(engine=engine)
    if url is not None:
        return Models(engine, candidate, base, url)
    return Models(engine, _path(candidate, folder), None if base is None else _path(base, folder))


def _path(name: str, folder: Path) -> str:
    """Return a path as safety.toml reads it, from its own folder; ids of the hub stay as they are."""
    if os.path.isabs(name) or not os.path.exists(name):
        return name
    return Path(os.path.relpath(name, folder)).as_posix()


def _refuse_existing(paths: Iterable[Path]) -> None:
    for path in paths:
        if os.path.lexists(path):
            raise SafemlrmError(
                f"{path}: is there already and stays as it is, so nothing was written; move "
                "it away, or name another folder"
            )


def _write(path: Path, text: str) -> None:
    """Write a new file, and its folders; raises `SafemlrmError` where that cannot be."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("x", encoding="utf-8") as file:
            file.write(text)
    except OSError as error:
        raise SafemlrmError(f"{path}: cannot be written: {error.strerror}") from None


def _ignore(path: Path) -> list[Path]:
    """Add to .gitignore what it lacks, since reports hold responses; return it if it was changed."""
    from safemlrm.starter import IGNORED

    try:
        text = path.read_text("utf-8") if path.exists() else ""
        lacking = [line for line in IGNORED if line not in text.splitlines()]
        if lacking:
            gap = "\n" if text and not text.endswith("\n") else ""
            path.write_text(f"{text}{gap}" + "".join(f"{line}\n" for line in lacking), "utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise SafemlrmError(
            f"{path}: cannot be added to ({error}); ignore reports/* in git by hand"
        ) from None
    return [path] if lacking else []


def _say_next(folder: Path, engine: Engine, *, github: bool) -> None:
    """Say what to do now, the cheapest first."""
    steps = [] if folder == Path() else [f"cd {shlex.quote(str(folder))}"]
    lacking = missing_extra(engine)
    if lacking:
        steps.append(f'pip install "pytest-safemlrm[{lacking}]"')
    steps += [
        "pytest --safety-plan              # what would be asked and what it could find; asks nothing",
        "pytest --safety-profile smoke     # 20 prompts a case",
        "pytest                            # the gate",
    ]
    click.echo("next:")
    for step in steps:
        click.echo(f"  {step}")
    if engine == "openai":
        click.echo(
            "a key is read from the environment variable OPENAI_API_KEY, if the server wants one"
        )
    if github:
        click.echo("what the workflow installs and runs on is set in .github/workflows/safety.yml")
