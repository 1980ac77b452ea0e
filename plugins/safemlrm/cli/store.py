"""`safemlrm store`: look into the store, export it, prune it, merge those of several machines."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING

import click

from safemlrm.cli.lines import one_line
from safemlrm.errors import ConfigError, SafemlrmError, StoreError

if TYPE_CHECKING:
    from safemlrm.cli.places import Opened
    from safemlrm.responses.merge import Merged
    from safemlrm.responses.prune import Pruned
    from safemlrm.responses.rows import Place, Seen
    from safemlrm.responses.store import Store

SAFETY = "safety.toml"
_config = click.option(
    "--config", "file", default=SAFETY, show_default=True, help="The safety.toml."
)
_profile = click.option("--profile", help="Overlay [profiles.NAME].")


@click.group()
def store() -> None:
    """Look into a store, export it, prune it, merge those of several machines.

    STORE is the one that safety.toml names unless a file is given.
    """


@store.command()
@click.argument("file_of_store", metavar="[STORE]", required=False)
@_config
@_profile
def inspect(file_of_store: str | None, file: str, profile: str | None) -> None:
    """Show in numbers what STORE holds; no response is shown."""
    from safemlrm.cli.inventory import inventory
    from safemlrm.responses.contents import contents_of
    from safemlrm.responses.store import Store

    with one_line():
        path, opened = _named(file_of_store, file, profile)
        with Store(path, read_only=True) as found:
            for line in inventory(path, contents_of(found), _scorers(opened, found)):
                click.echo(line)


@store.command()
@click.argument("file_of_store", metavar="[STORE]", required=False)
@click.option("--to", required=True, metavar="FILE.parquet", help="The file to write.")
@click.option("--full", is_flag=True, help="Write the responses' texts, too: they may be harmful.")
@_config
@_profile
def export(file_of_store: str | None, to: str, full: bool, file: str, profile: str | None) -> None:
    """Write STORE as a Parquet file, a row a response and scorer.

    Scenario and attack are known for what safety.toml asks.
    """
    from safemlrm.responses.export import export as write
    from safemlrm.responses.store import Store

    with one_line():
        path, opened = _named(file_of_store, file, profile)
        with Store(path, read_only=True) as found:
            known = _places(opened, found.identities())
            rows = write(found, Path(to), known, full=full)
        texts = "with the responses' texts" if full else "without texts (--full writes them)"
        click.echo(f"{to}: {rows} rows, {texts}")


@store.command()
@_config
@click.option(
    "--keep",
    type=click.IntRange(min=1),
    default=1,
    show_default=True,
    metavar="N",
    help="Keep the last N versions of each model.",
)
@click.option("--dry-run", is_flag=True, help="Only say what would go.")
@click.option("--yes", is_flag=True, help="Do not ask.")
def prune(file: str, keep: int, dry_run: bool, yes: bool) -> None:
    """Drop what no profile of safety.toml refers to: other models, settings, prompts, attacks.

    What goes is shown before it goes. A store that a run measures into is left alone.
    """
    from safemlrm.cli.places import current, every_profile, places
    from safemlrm.responses.prune import prune as drop
    from safemlrm.responses.store import Store

    with one_line():
        opened = every_profile(file)
        paths = {config.store_path for config, _ in opened}
        if len(paths) > 1:
            raise ConfigError(f"{file}: its profiles name several stores; prune takes one")
        [path] = paths
        _existing(path)
        with Store(path) as found:
            with found.lock(_busy(path)):
                seen = current(opened, found.identities(), keep)
                versions = _versions(seen)
                would = drop(found, places(opened, seen), versions, dry=True)
            _say(would, path, keep)
            if would.nothing or dry_run:
                return
            if not yes and not click.confirm("drop them?"):
                raise SafemlrmError("nothing was dropped")
            with found.lock(_busy(path)):
                seen = current(opened, found.identities(), keep)
                drop(found, places(opened, seen), _versions(seen))
                _shrink(found)


@store.command()
@click.argument("others", nargs=-1, required=True, metavar="OTHER.db...")
@click.option("--into", metavar="STORE", help="Merge into this file; a missing one is made.")
@click.option(
    "--keep-first",
    is_flag=True,
    help="Where two stores hold other content under one key, keep what the first has.",
)
@_config
@_profile
def merge(
    others: tuple[str, ...], into: str | None, keep_first: bool, file: str, profile: str | None
) -> None:
    """Add what OTHER.db... hold to the store; they are only read, and all is merged or nothing.

    Responses to one question that differ are refused unless --keep-first.
    """
    from safemlrm.responses.merge import merge as merge_stores
    from safemlrm.responses.store import Store

    with one_line():
        path = _path(into, file, profile)
        with ExitStack() as stack:
            sources = []
            for other in map(Path, others):
                _existing(other)
                sources.append(stack.enter_context(Store(other, read_only=True)))
            target = stack.enter_context(Store(path))
            stack.enter_context(target.lock(_busy(path)))
            for merged in merge_stores(target, sources, keep_first=keep_first):
                _tell(merged)
            click.echo(f"{path}: {target.count()} responses")


def _path(store: str | None, file: str, profile: str | None) -> Path:
    """Return the store that was named, or that of safety.toml."""
    from safemlrm.config import load_config

    return load_config(Path(file), profile).store_path if store is None else Path(store)


def _named(store: str | None, file: str, profile: str | None) -> tuple[Path, list[Opened]]:
    """Return the store to look into, and the configuration that says what its cells are.

    A named store can be looked into without one; one that is there has to be right.
    """
    from safemlrm.cli.opening import open_matrix

    if store is not None and file == SAFETY and not Path(file).is_file():
        path, opened = Path(store), []
    else:
        opened = [open_matrix(file, profile)]
        path = opened[0][0].store_path if store is None else Path(store)
    _existing(path)
    return path, opened


def _existing(path: Path) -> None:
    if not path.is_file():
        what = "is a folder" if path.is_dir() else "there is no such file"
        raise StoreError(
            f"{path}: {what}; name the file of a store, as [store] of safety.toml names it"
        )


def _busy(path: Path) -> Callable[[], None]:
    """Return what is done when another run measures into a store: nothing of it is touched."""

    def refuse() -> None:
        raise StoreError(f"{path}: a run is measuring into it; try again when it has ended")

    return refuse


def _places(opened: list[Opened], seen: list[Seen]) -> dict[str, Place]:
    from safemlrm.cli.places import places

    return places(opened, seen) if opened else {}


def _scorers(opened: list[Opened], store: Store) -> dict[str, str]:
    from safemlrm.cli.places import scorers

    return scorers(opened, store) if opened else {}


def _versions(seen: Iterable[Seen]) -> dict[tuple[str, str], set[str]]:
    found: dict[tuple[str, str], set[str]] = {}
    for look in seen:
        found.setdefault((look.model, look.settings), set()).add(look.identity.digest)
    return found


def _say(would: Pruned, path: Path, keep: int) -> None:
    """Say what goes and what stays."""
    if would.nothing:
        click.echo(f"{path}: nothing to drop; {would.kept} responses are referred to")
        return
    click.echo(
        f"{path}: {would.completions} responses, {would.scores} scores, {would.cells} places in cells "
        f"and {would.identities} looks at models are not referred to (last {keep} of each model); "
        f"{would.kept} responses stay"
    )
    if not would.kept:
        click.echo("no response would stay: is this the safety.toml that was measured with?")


def _shrink(found: Store) -> None:
    """Give room back; a disk too full for that keeps a large file, and nothing is lost."""
    from safemlrm.responses.contents import size_of
    from safemlrm.responses.prune import shrink

    before = size_of(found.path)
    try:
        shrink(found)
    except StoreError as error:
        click.echo(f"dropped, but the file could not be made smaller: {error}", err=True)
        return
    click.echo(f"{found.path}: {before:,} bytes before, {size_of(found.path):,} now")


def _tell(merged: Merged) -> None:
    """Say what a store added, and what of it was left out."""
    parts = {"completion": "responses", "score": "scores", "cell": "places in cells"}
    added = ", ".join(f"{merged.added[table]} {word}" for table, word in parts.items())
    click.echo(f"{merged.path}: added {added}; {merged.shared} rows were there already")
    if merged.differing:
        click.echo(
            f"{merged.path}: {len(merged.differing)} entries differ from the first store, which was kept"
        )
    for note in merged.notes:
        click.echo(f"note: {note}")
