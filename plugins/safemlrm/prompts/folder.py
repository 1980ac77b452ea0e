"""A folder of the user's own data: what is read from it never lies outside it."""

from __future__ import annotations

import csv
import json
import re
import warnings
from dataclasses import dataclass
from io import BytesIO, StringIO
from pathlib import Path

from safemlrm.errors import ConfigError
from safemlrm.prompts.rows import PLAIN_ID, MissingPicture, Row, digest_id
from safemlrm.types import Image

PATH = re.compile(r"[\w./-]{1,80}", re.ASCII)
"""What a message shows of a path that the data name: anything else could be a prompt."""


@dataclass(frozen=True, slots=True)
class DataFolder:
    """A folder, with every link in its own path followed."""

    root: Path

    @classmethod
    def at(cls, folder: Path) -> DataFolder:
        """Open a folder; `ConfigError` where there is none."""
        if not folder.is_dir():
            raise ConfigError(f"{folder}: no such folder; give the path of your copy of the data")
        return cls(folder.resolve())

    def inside(self, name: str, where: str) -> Path:
        """Return the file a name stands for; `ConfigError` when it lies outside the folder."""
        try:
            found = (self.root / name).resolve()
            outside = not found.is_relative_to(self.root)
        except (OSError, ValueError, RuntimeError):  # a null byte, a name too long, links in a ring
            raise ConfigError(f"{where}: {_shown(name)} is not a path; repair the row") from None
        if outside or Path(name).is_absolute():
            raise ConfigError(
                f"{where}: {_shown(name)} lies outside {self.root}; only what is in the folder of the "
                "data is read, so copy the file there and name it by its relative path"
            )
        return found

    def has(self, name: str) -> bool:
        """Say whether the folder has a file or a folder of this name."""
        return self.inside(name, str(self.root)).exists()

    def file(self, *names: str) -> Path:
        """Return the first of the files that exists; `ConfigError` names what was expected."""
        for name in names:
            if (found := self.inside(name, str(self.root))).is_file():
                return found
        raise ConfigError(
            f"{self.root} has no {' or '.join(names)}; give the path of a copy in the original layout"
        )

    def picture(self, name: str, where: str) -> Image:
        """Read a picture and see that it opens, whatever its name ends in.

        Raises `MissingPicture` where there is no such file, `ConfigError` when it is no picture.
        """
        file = self.inside(name, where)
        try:
            if not file.is_file():
                raise MissingPicture(
                    f"{where}: the picture {_shown(name)} is missing; add it, or leave out such rows "
                    'with missing_images = "drop"'
                )
            data = file.read_bytes()
        except OSError as error:
            raise ConfigError(
                f"{where}: the picture {_shown(name)} cannot be read: {error.strerror}"
            ) from None
        return opened(data, where)


def opened(data: bytes, where: str) -> Image:
    """Return the picture after a look at its beginning; a model's engine decodes all of it."""
    try:
        from PIL import Image as Pictures
    except ImportError:
        raise ConfigError(
            "pictures need Pillow, which is not installed; pip install 'pytest-safemlrm[data]'"
        ) from None
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", Pictures.DecompressionBombWarning)
            Pictures.open(BytesIO(data)).verify()
    except (OSError, SyntaxError, ValueError, EOFError, Pictures.DecompressionBombError):
        raise ConfigError(
            f"{where}: the picture does not open; restore the file, or remove the row"
        ) from None
    return Image(data)


def read_csv(file: Path) -> list[Row]:
    """Read a CSV file of texts: "05" stays "05" and "NA" a text.

    Raises `ConfigError` for a row with more or fewer fields than the header.
    """
    reader = csv.DictReader(StringIO(read_text(file), newline=""), strict=True)
    rows: list[Row] = []
    try:
        names = reader.fieldnames or []
        if len(set(names)) < len(names):
            raise ConfigError(f"{file.name}: two columns have one name; rename one")
        for number, values in enumerate(reader, start=1):
            row = Row(f"{file.name}, row {number}", values)
            if None in values or None in values.values():
                raise row.error("not as many fields as the header has", "repair the row")
            rows.append(row)
    except csv.Error:
        raise ConfigError(
            f"{file.name}, row {len(rows) + 1}: not valid CSV; repair the file"
        ) from None
    return rows


def read_json_rows(file: Path) -> list[Row]:
    """Read a JSON object of rows by id, as some data sets are laid out.

    Raises `ConfigError` for an id that occurs twice, of which JSON would keep the last.
    """
    table = read_json(file)
    if not isinstance(table, dict):
        raise ConfigError(f"{file.name}: expected an object of rows by id; restore the file")
    rows = []
    for key, values in table.items():
        where = f"{file.name}, id {key if PLAIN_ID.fullmatch(key) else digest_id(key)}"
        if not isinstance(values, dict):
            raise ConfigError(f"{where}: expected an object; restore the file")
        rows.append(Row(where, values, key))
    return rows


def read_json(file: Path) -> object:
    """Read JSON; `ConfigError` when it is broken or repeats a key."""

    def unique(pairs: list[tuple[str, object]]) -> dict[str, object]:
        table = dict(pairs)
        if len(table) < len(pairs):
            raise KeyError
        return table

    try:
        return json.loads(read_text(file), object_pairs_hook=unique)
    except KeyError:
        raise ConfigError(
            f"{file.name}: an id or key occurs twice; each needs its own, so remove or rename one"
        ) from None
    except json.JSONDecodeError as error:
        raise ConfigError(
            f"{file.name}, line {error.lineno}: not valid JSON; restore the file"
        ) from None
    except (ValueError, RecursionError):
        raise ConfigError(f"{file.name}: not valid JSON; restore the file") from None


def read_text(file: Path) -> str:
    """Read UTF-8 with or without a byte order mark."""
    try:
        return file.read_bytes().decode("utf-8-sig")
    except UnicodeDecodeError:
        raise ConfigError(f"{file.name}: not UTF-8; save it as UTF-8") from None
    except OSError as error:
        raise ConfigError(f"{file}: cannot be read: {error.strerror}") from None


def _shown(name: str) -> str:
    return name if PATH.fullmatch(name) else "it names"
