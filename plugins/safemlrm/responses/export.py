"""A store as one Parquet file, a row a response and scorer, for analysis elsewhere."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING

from safemlrm.errors import SafemlrmError
from safemlrm.responses.rows import Place
from safemlrm.responses.store import Store

if TYPE_CHECKING:
    import pyarrow  # type: ignore[import-untyped]  # it has no stubs

CHUNK = 10_000
_Row = tuple[object, ...]
COLUMNS = {
    "key": "string",
    "model": "string",
    "identity": "string",
    "scenario": "string",
    "attack": "string",
    "ask": "string",
    "cell": "string",
    "position": "int32",
    "prompt": "string",
    "finish": "string",
    "prompt_tokens": "int32",
    "completion_tokens": "int32",
    "scorer": "string",
    "state": "string",
    "prefilled": "bool",
    "multiple": "bool",
    "score_reasoning": "int8",
    "score_answer": "int8",
    "score_full": "int8",
    "refused": "bool",
    "helped": "bool",
    "path": "string",
}
TEXT = {"text": "string"}
_ROWS = """
  select k.key, k.model, n.identity, n.scenario, n.attack, n.ask, p.cell, p.position, k.prompt,
         k.finish, k.prompt_tokens, k.completion_tokens, s.scorer, s.state, s.prefilled, s.multiple,
         s.reasoning, s.answer, s."full", s.refused, s.helped, s.path{text}
  from completion k
  left join place p on p.key = k.key
  left join named n on n.cell = p.cell
  left join score s on s.key = k.key
  order by k.key, s.scorer"""


def export(store: Store, to: Path, places: Mapping[str, Place], *, full: bool = False) -> int:
    """Write the responses and return the number of rows; texts only where they are asked for in full.

    `places` say what the cells of a configuration are; other responses have no scenario and attack.
    The file appears when it is complete. Raises `SafemlrmError` without pyarrow, and where the file
    cannot be written.
    """
    schema = _schema(full)
    if to.exists() and to.samefile(store.path):
        raise SafemlrmError(f"{to}: this is the store itself; name another file")
    part = to.with_name(f".{to.name}.{os.getpid()}")
    try:
        to.parent.mkdir(parents=True, exist_ok=True)
        count = _write(_chunks(store, places, full), part, schema)
        part.replace(to)
    except OSError as error:
        raise SafemlrmError(f"{to}: could not be written ({error.strerror or error})") from None
    finally:
        with suppress(OSError):
            part.unlink(missing_ok=True)
    return count


def _schema(full: bool) -> pyarrow.Schema:
    try:
        import pyarrow
    except ImportError:
        raise SafemlrmError(
            "Parquet is written with pyarrow, which is not installed; "
            'pip install "pytest-safemlrm[parquet]"'
        ) from None
    names = COLUMNS | (TEXT if full else {})
    fields = [(name, pyarrow.type_for_alias(kind)) for name, kind in names.items()]
    return pyarrow.schema(fields, metadata={"texts": "yes" if full else "left out"})


def _write(chunks: Iterable[list[_Row]], part: Path, schema: pyarrow.Schema) -> int:
    import pyarrow
    from pyarrow.parquet import ParquetWriter  # type: ignore[import-untyped]  # it has no stubs

    count = 0
    with ParquetWriter(part, schema) as writer:
        for rows in chunks:
            columns = [
                pyarrow.array(_typed(values, field.type), field.type)
                for field, values in zip(schema, zip(*rows, strict=True), strict=True)
            ]
            writer.write_table(pyarrow.Table.from_arrays(columns, schema=schema))
            count += len(rows)
    return count


def _typed(values: Sequence[object], kind: pyarrow.DataType) -> Sequence[object]:
    """Return a column as Arrow takes it: SQLite has no truth values."""
    if str(kind) != "bool":
        return values
    return [None if value is None else bool(value) for value in values]


def _chunks(store: Store, places: Mapping[str, Place], full: bool) -> Iterator[list[_Row]]:
    """Yield the rows in order of their keys, each response in one of its cells, a named one first."""
    with store.reading() as db:
        _place(db, places)
        rows = db.execute(_ROWS.format(text=", k.text" if full else ""))
        while chunk := list(islice(rows, CHUNK)):
            yield chunk


def _place(db: sqlite3.Connection, places: Mapping[str, Place]) -> None:
    """Note in temporary tables what is known of each response's cell; the file stays as it is."""
    db.execute("create temp table named(cell primary key, identity, scenario, attack, ask)")
    db.executemany(
        "insert into named values(?,?,?,?,?)",
        [(cell, p.identity, p.scenario, p.attack, p.ask) for cell, p in places.items()],
    )
    db.execute("create temp table place(key text primary key, cell, position)")
    for which in ("in", "not in"):
        db.execute(
            "insert or ignore into place select key, cell, position from cell "
            f"where cell {which} (select cell from named) order by cell, position"
        )
