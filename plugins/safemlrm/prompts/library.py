"""The `datasets` library behind two calls: it is imported late, and its errors become one line."""

from __future__ import annotations

import csv
import glob
import logging
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from io import StringIO
from pathlib import Path
from tempfile import TemporaryDirectory
from types import ModuleType
from typing import TYPE_CHECKING

from safemlrm.config import suggest
from safemlrm.errors import ConfigError
from safemlrm.prompts.folder import read_text
from safemlrm.prompts.rows import Row, showable

if TYPE_CHECKING:
    from datasets import Dataset

FORMATS = {".csv": "csv", ".json": "json", ".jsonl": "json", ".parquet": "parquet"}


@dataclass(frozen=True, slots=True)
class Table:
    """The columns that were asked for, and the folders that pictures may be named in."""

    name: str
    rows: list[Row]
    pictures: tuple[Path, ...]
    licence: str = ""


def read_file(file: Path, columns: Iterable[str]) -> Table:
    """Read a CSV, JSON, JSON Lines or Parquet file; nothing of it stays in the library's cache."""
    if not file.is_file():
        raise ConfigError(f"{file}: no such file; a path starts at the folder of safety.toml")
    place = file.resolve()
    with (
        _library(str(file)) as datasets,
        TemporaryDirectory(prefix="safemlrm-", ignore_cleanup_errors=True) as cache,
    ):
        options = _texts(datasets, place) if file.suffix == ".csv" else {}
        read = datasets.load_dataset(
            FORMATS[file.suffix],
            data_files=glob.escape(str(place)),
            split="train",
            cache_dir=cache,
            keep_in_memory=True,
            **options,
        )
        return Table(file.name, _rows(datasets, read, file.name, columns), (place.parent,))


def read_hub(
    name: str, revision: str, config_name: str | None, split: str | None, columns: Iterable[str]
) -> Table:
    """Read one split of a data set of the hub at a commit."""
    with _library(f"hf:{name}") as datasets:
        from huggingface_hub.constants import HF_HUB_CACHE

        read = datasets.load_dataset(name, config_name, split=split, revision=revision)
        if isinstance(read, Mapping):
            if len(read) > 1:
                raise ConfigError(f"split: {name} has several{suggest('', read)}")
            read = next(iter(read.values()))
        # A data set of picture files keeps paths into these folders, one of rows the bytes.
        caches = (Path(HF_HUB_CACHE).resolve(), Path(datasets.config.HF_DATASETS_CACHE).resolve())
        licence = str(read.info.license or "")
        return Table(name, _rows(datasets, read, name, columns), caches, licence)


@contextmanager
def _library(source: str) -> Iterator[ModuleType]:
    """Import `datasets`, silence it, and tell its errors in one line.

    Only errors of files and networks are quoted: others, and what the library logs, may quote a row.
    """
    try:
        import datasets
    except ImportError:
        raise ConfigError(
            f"{source} is read with the datasets library, which is not installed; "
            "pip install 'pytest-safemlrm[data]'"
        ) from None
    shown = datasets.is_progress_bar_enabled()
    datasets.disable_progress_bars()
    log = logging.getLogger("datasets")
    level = log.level
    log.setLevel(logging.CRITICAL)
    try:
        yield datasets
    except (
        OSError,
        ValueError,
        TypeError,
        KeyError,
        RuntimeError,
        datasets.exceptions.DatasetsError,
    ) as error:
        about = str(error).partition("\n")[0] if isinstance(error, OSError) else ""
        raise ConfigError(
            f"{source}: the datasets library cannot read it ({type(error).__name__}"
            f"{': ' if about else ''}{about}); see that it has rows, that it is in the format its "
            "name says, and that config_name and split are right"
        ) from None
    finally:
        log.setLevel(level)
        if shown:
            datasets.enable_progress_bars()


def _texts(datasets: ModuleType, file: Path) -> dict[str, object]:
    """Have every field of a CSV file read as text, or "05" becomes 5 and "NA" nothing."""
    names, rows = _header(file)
    if not names or len(set(names)) < len(names):
        raise ConfigError(f"{file.name}: the first line must name the columns, each once")
    for number, fields in enumerate(rows, start=1):
        if fields and len(fields) != len(names):  # pandas would take the first field for an index
            raise ConfigError(
                f"{file.name}, row {number}: {len(fields)} fields, but the header has {len(names)}; put "
                "a text with a comma into double quotes"
            )
    features = datasets.Features({name: datasets.Value("string") for name in names})
    return {"features": features, "keep_default_na": False, "na_filter": False}


def _header(file: Path) -> tuple[list[str], list[list[str]]]:
    """Return the first line of a CSV file and the rest; nothing where it is no CSV."""
    try:
        names, *rows = csv.reader(StringIO(read_text(file), newline=""))
    except (csv.Error, ValueError):
        return [], []
    return names, rows


def _rows(datasets: ModuleType, read: Dataset, name: str, columns: Iterable[str]) -> list[Row]:
    """Take the columns that are asked for; pictures stay encoded."""
    wanted = list(dict.fromkeys(columns))
    for column in wanted:
        if column not in read.column_names:
            known = suggest(column, showable(read.column_names))
            raise ConfigError(
                f"{name}: there is no column {column!r}{known}; see columns and where"
            )
    read = read.select_columns(wanted)
    encoded = datasets.Image(decode=False)
    for column, feature in read.features.items():
        if isinstance(feature, datasets.Image):
            read = read.cast_column(column, encoded)
        elif isinstance(getattr(feature, "feature", None), datasets.Image):
            read = read.cast_column(column, type(feature)(encoded))
    return [
        Row(f"{name}, row {number}", values, str(number))
        for number, values in enumerate(read, start=1)
    ]
