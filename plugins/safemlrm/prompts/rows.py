"""Rows of a data set -> checked prompts. A message names a row by its file and id, never by its text."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

from safemlrm.config import suggest
from safemlrm.config.schema import Scenario as ScenarioTable
from safemlrm.errors import ConfigError
from safemlrm.types import Expectation, Prompt

PLAIN_ID = re.compile(r"[A-Za-z0-9_-]{1,24}")
SHOWABLE = re.compile(r"[\w.()-]{1,30}(?: [\w.()-]{1,30})?")
"""What may be a name: a longer text could be a prompt, which a message does not show."""


class MissingPicture(ConfigError):
    """A row names a picture that its folder does not have."""


@dataclass(frozen=True, slots=True)
class Asked:
    """What a configuration asks of a source."""

    slug: str
    table: ScenarioTable
    folder: Path

    @property
    def area(self) -> str:
        """The category that is named, else the scenario itself."""
        return self.table.category or self.slug


@dataclass(frozen=True, slots=True)
class Loaded:
    """What a source has: expectation and policy are None where it does not know them."""

    prompts: tuple[Prompt, ...]
    licence: str = ""
    expectation: Expectation | None = None
    policy: str | None = None
    dropped: int = 0


@dataclass(frozen=True, slots=True)
class Row:
    """One row, where it stands ("safebench.csv, row 12"), and its key in a file of rows by id."""

    where: str
    values: Mapping[str, object]
    key: str = ""

    def text(self, column: str) -> str:
        """Return a text; `ConfigError` when it is missing, blank, or cannot be encoded."""
        if column not in self.values:
            raise self.error(f"{column!r} is missing", "restore the original file")
        value = self.values[column]
        if value is None or (isinstance(value, str) and not value.strip()):
            raise self.error(f"{column!r} is blank", "write a text, or remove the row")
        if not isinstance(value, str):
            kind = type(value).__name__
            raise self.error(f"{column!r} is of type {kind}", "expected a text, so repair the row")
        try:
            value.encode()
        except UnicodeEncodeError:
            raise self.error(
                f"{column!r} holds half a character (a lone surrogate)", "repair the row"
            ) from None
        return value

    def name(self, column: str) -> str:
        """Return an id or a category as text: numbers as they are written, true and false in lower case."""
        value = self.values.get(column)
        if isinstance(value, bool):
            return str(value).lower()
        return str(value) if isinstance(value, int | float) else self.text(column)

    def number(self, column: str | None = None) -> str:
        """Return the key or a column as an id that a file name may hold: digits and nothing else."""
        value = self.key if column is None else self.name(column)
        if not (value.isascii() and value.isdigit() and len(value) <= 24):
            named = "its id" if column is None else repr(column)
            raise self.error(f"{named} is not a number", "restore the original file")
        return value

    def error(self, what: str, remedy: str) -> ConfigError:
        """Return the complaint about this row."""
        return ConfigError(f"{self.where}: {what}; {remedy}")


def prompt_id(*parts: str) -> str:
    """Join the parts with dots; one that is no short slug is replaced by its digest.

    A slug has no dot and each source its own first part, so ids of different data sets never clash.
    """
    return ".".join(part if PLAIN_ID.fullmatch(part) else digest_id(part) for part in parts)


def digest_id(text: str) -> str:
    """Return a short name for what must not be shown, or is no name."""
    return sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:12]


def showable(names: Iterable[str]) -> list[str]:
    """Return the names that are short enough to be names: a file without a header shows no prompt."""
    return [name for name in names if SHOWABLE.fullmatch(name)]


def matching(rows: Iterable[Row], where: Mapping[str, str]) -> list[Row]:
    """Keep the rows whose columns hold what `where` says.

    Raises `ConfigError` for a column that a row does not have.
    """
    kept = list(rows)
    for column, value in where.items():
        for row in kept:
            if column not in row.values:
                known = suggest(column, showable(row.values))
                raise ConfigError(f"{row.where}: where names no column {column!r}{known}")
        kept = [row for row in kept if _holds(row, column, value)]
    return kept


def of_category(rows: list[Row], column: str, category: str) -> list[Row]:
    """Keep the rows of one category, however it is capitalised; `ConfigError` when there is none."""
    kept = [row for row in rows if _canonical(row.name(column)) == _canonical(category)]
    if rows and not kept:
        names = {row.name(column) for row in rows}
        raise ConfigError(
            f"category = {category!r} is not in the data{suggest(category, showable(names))}"
        )
    return kept


def gather(
    rows: Iterable[Row], build: Callable[[Row], Prompt], missing_images: str, what: str
) -> tuple[tuple[Prompt, ...], int]:
    """Build each row's prompt; also return how many were left out for a missing picture.

    `what` names the rows ("safebench.csv: no row of fraud"). Raises `ConfigError` for equal ids and
    where nothing is left.
    """
    prompts: dict[str, Prompt] = {}
    dropped = 0
    for row in rows:
        try:
            prompt = build(row)
        except MissingPicture:
            if missing_images != "drop":
                raise
            dropped += 1
            continue
        if prompt.id in prompts:
            raise row.error(
                f"id {prompt.id} occurs twice",
                "each row needs an id of its own, so remove or renumber one",
            )
        prompts[prompt.id] = prompt
    if not prompts:
        raise ConfigError(
            f"{what} is left: {dropped} have no picture; add the pictures"
            if dropped
            else f"{what}; name another category or subset, or restore the file"
        )
    return tuple(prompts.values()), dropped


def _holds(row: Row, column: str, value: str) -> bool:
    found = row.values[column]
    return found is not None and found != "" and row.name(column) == value


def _canonical(name: str) -> str:
    return "_".join(re.split(r"[\W_]+", name.casefold())).strip("_")
