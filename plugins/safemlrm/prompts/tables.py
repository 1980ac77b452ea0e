"""Tables of the user's own: a file, a folder of pictures, a data set of the hub.

safety.toml names their columns; a table knows nothing of scenarios.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from pathlib import Path

from safemlrm.errors import ConfigError
from safemlrm.prompts.folder import DataFolder, opened
from safemlrm.prompts.library import FORMATS, Table, read_file, read_hub
from safemlrm.prompts.options import has_options, with_options
from safemlrm.prompts.rows import (
    Asked,
    Loaded,
    MissingPicture,
    Row,
    gather,
    matching,
    of_category,
    prompt_id,
)
from safemlrm.types import Expectation, Image, Prompt, Turn

HUB = "hf:"
COMMIT = re.compile(r"[0-9a-f]{40}")
METADATA = tuple(f"metadata{suffix}" for suffix in FORMATS)
EXPECTS: Mapping[str, Expectation] = {
    "refuse": "refuse",
    "unsafe": "refuse",
    "harmful": "refuse",
    "help": "help",
    "safe": "help",
    "benign": "help",
}
OWN = "own"
"""First part of the ids of such rows; no data set that has an adapter of its own is called so."""


def load_file(asked: Asked) -> Loaded:
    """Read a CSV, JSON, JSON Lines or Parquet file; pictures are named relative to it."""
    columns = _columns(asked)
    file = asked.folder / asked.table.source
    return _load(asked, columns, read_file(file, _wanted(asked, columns)))


def load_folder(asked: Asked) -> Loaded:
    """Read a folder of pictures with its metadata file, whose `file_name` names a row's picture."""
    folder = DataFolder.at(asked.folder / asked.table.source)
    found = [name for name in METADATA if folder.has(name)]
    if not found:
        raise ConfigError(
            f"{folder.root} has no {' or '.join(METADATA)}; write one with a column file_name for "
            "the picture and a column text for the question"
        )
    columns = {"image": "file_name", **_columns(asked)}
    return _load(asked, columns, read_file(folder.file(*found), _wanted(asked, columns)))


def load_hub(asked: Asked) -> Loaded:
    """Read a data set of the hub at one commit."""
    settings, columns = asked.table, _columns(asked)
    name, revision = settings.source.removeprefix(HUB), settings.revision
    if revision is None or not COMMIT.fullmatch(revision):
        found = "is missing" if revision is None else f"= {revision!r} is not a commit"
        raise ConfigError(
            f"revision {found}; a branch or a tag moves, so give the 40 characters of a commit that "
            f"https://huggingface.co/datasets/{name}/commits shows"
        )
    wanted = _wanted(asked, columns)
    table = read_hub(name, revision, settings.config_name, settings.split, wanted)
    return _load(asked, columns, table)


def _columns(asked: Asked) -> dict[str, str]:
    named: dict[str, str] = asked.table.columns.model_dump(exclude_none=True)
    return {"text": "text", **named}


def _wanted(asked: Asked, columns: Mapping[str, str]) -> list[str]:
    return [*columns.values(), *asked.table.where]


def _load(asked: Asked, columns: Mapping[str, str], table: Table) -> Loaded:
    rows = matching(table.rows, asked.table.where)
    if asked.table.category is not None:
        if "category" not in columns:
            raise ConfigError('category needs a column to look in; give columns.category = "..."')
        rows = of_category(rows, columns["category"], asked.table.category)
    choose = has_options(columns)
    expectation = "choose" if choose else _expectation(rows, columns.get("expectation"))
    prompts, dropped = gather(
        rows,
        lambda row: _prompt(row, asked, columns, table.pictures),
        asked.table.missing_images,
        f"{table.name}: no row that where and category pick",
    )
    return Loaded(prompts, table.licence, expectation, None, dropped)


def _expectation(rows: list[Row], column: str | None) -> Expectation | None:
    """Return what all rows expect, None without such a column; one scenario expects one thing."""
    if column is None:
        return None
    found: dict[Expectation, Row] = {}
    for row in rows:
        value = EXPECTS.get(row.name(column).strip().lower())
        if value is None:
            raise row.error(f"{column!r} is none of {', '.join(EXPECTS)}", "repair the row")
        found.setdefault(value, row)
    if len(found) > 1:
        refuse, help_ = found["refuse"].where, found["help"].where
        raise ConfigError(
            f"{refuse} expects a refusal and {help_} help; make a scenario of each with "
            f"where = {{ {column} = ... }}"
        )
    return next(iter(found), None)


def _prompt(
    row: Row, asked: Asked, columns: Mapping[str, str], folders: tuple[Path, ...]
) -> Prompt:
    number = row.name(columns["id"]) if "id" in columns else row.key
    images = tuple(_pictures(row, columns["image"], folders)) if "image" in columns else ()
    prompt = Prompt(
        id=prompt_id(OWN, asked.slug, number),
        scenario=asked.slug,
        turns=(Turn(row.text(columns["text"]), images),),
        phrase=row.text(columns["phrase"]) if "phrase" in columns else "",
        language=row.text(columns["language"]) if "language" in columns else "en",
    )
    return with_options(prompt, row, columns) if "options" in columns else prompt


def _pictures(row: Row, column: str, folders: tuple[Path, ...]) -> Iterator[Image]:
    """Yield a row's pictures: bytes, a path, what the library makes of either, or a list of such."""
    value = row.values[column]
    parts = value if isinstance(value, list) else [value]
    for part in parts or [None]:
        data, path = part, part
        if isinstance(part, Mapping):
            data, path = part.get("bytes"), part.get("path")
        if isinstance(data, bytes):
            yield opened(data, row.where)
        elif isinstance(path, str) and path.strip():
            yield _picture(path, row, folders)
        else:
            raise MissingPicture(
                f"{row.where}: {column!r} names no picture; add it, or leave out such rows with "
                'missing_images = "drop"'
            )


def _picture(path: str, row: Row, folders: tuple[Path, ...]) -> Image:
    # The library names pictures of the hub by their place in its cache, users by a relative path.
    for folder in folders:
        if len(folders) > 1 and Path(path).is_relative_to(folder):
            return DataFolder(folder).picture(str(Path(path).relative_to(folder)), row.where)
    return DataFolder(folders[0]).picture(path, row.where)
