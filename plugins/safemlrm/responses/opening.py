"""A store's file -> a connection: damaged and foreign files are refused, other processes waited for."""

from __future__ import annotations

import logging
import sqlite3
import time
from pathlib import Path

from safemlrm.errors import StoreError
from safemlrm.responses.schema import prepare, shadow, version_of

LOG = logging.getLogger(__name__)
PATIENCE = 60.0
"""Seconds a statement waits for another process that writes."""
_PAUSE = 0.05
_LOOKS, _BLINK = 3, 0.002
_MAGIC = b"SQLite format 3\x00"


def connect(path: Path, *, read_only: bool) -> sqlite3.Connection:
    """Open a store's file, with the tables of this version; a missing one is made unless only read.

    Raises `StoreError`, `sqlite3.Error` and `OSError`.
    """
    if read_only and not path.is_file():
        raise StoreError(
            f"{path}: there is no store yet; measure first, by pytest without --safety-replay "
            "or by `safemlrm measure`"
        )
    if not read_only:
        path.parent.mkdir(parents=True, exist_ok=True)
    _refuse_what_is_no_database(path)
    _refuse_a_cut(path)
    address = f"{path.resolve().as_uri()}?mode={'ro' if read_only else 'rwc'}"
    db = sqlite3.connect(address, uri=True, timeout=PATIENCE)
    try:
        if read_only:
            shadow(db, path)
        else:
            version_of(db, path)  # what is refused is not touched
            _write_ahead(db, path)
            db.execute("pragma synchronous=normal")
            prepare(db, path)
    except BaseException:
        db.close()
        raise
    return db


def _write_ahead(db: sqlite3.Connection, path: Path) -> None:
    """Switch a new file to write-ahead logging; where another process writes, SQLite would not wait."""
    deadline = time.monotonic() + PATIENCE
    while True:
        try:
            if db.execute("pragma journal_mode").fetchone()[0] != "wal":
                db.execute("pragma journal_mode=wal")
            return
        except sqlite3.OperationalError as error:
            if "locked" not in str(error) or time.monotonic() > deadline:
                raise
            LOG.debug("%s: another process is writing; waiting for it", path)
            time.sleep(_PAUSE)


def _refuse_what_is_no_database(path: Path) -> None:
    if not path.is_file():
        return
    with path.open("rb") as file:
        start = file.read(len(_MAGIC))
    if start and start != _MAGIC[: len(start)]:
        raise StoreError(
            f"{path}: the store could not be opened: this file is no store of responses, and was left "
            "as it is; name another one"
        )


def _refuse_a_cut(path: Path) -> None:
    """Refuse a file that is shorter than its header says: SQLite would read zeros for what is gone.

    With a journal beside it the file may rightly be behind; SQLite then recovers it. Header and size
    are not read at one moment, so a difference has to last before it counts.
    """
    for look in range(_LOOKS):
        found = _lengths(path)
        if found is None or found[0] == found[1]:
            return
        size, expected = found
        if look + 1 < _LOOKS:
            time.sleep(_BLINK)
    raise StoreError(
        f"{path}: the store is damaged: it has {size} bytes and should have {expected}; "
        "restore a copy, or move it away to ask everything again"
    )


def _lengths(path: Path) -> tuple[int, int] | None:
    """Return a file's size and the one its header states; None where they need not agree."""
    path = path.resolve()  # the journal lies beside the file, not beside a link to it
    journal = Path(f"{path}-wal")
    if not path.is_file() or (journal.is_file() and journal.stat().st_size):
        return None
    with path.open("rb") as file:
        header = file.read(100)
    size = path.stat().st_size
    if size == 0:
        return None
    page = int.from_bytes(header[16:18], "big")
    return size, int.from_bytes(header[28:32], "big") * (65536 if page == 1 else page)
