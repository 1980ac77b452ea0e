"""A store without what nothing refers to any more."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from safemlrm.responses.store import Store


@dataclass(frozen=True, slots=True)
class Pruned:
    """The rows that go, and the responses that stay."""

    completions: int
    scores: int
    cells: int
    identities: int
    kept: int

    @property
    def nothing(self) -> bool:
        """Whether all that is there is still referred to."""
        return not (self.completions or self.scores or self.cells or self.identities)


class _Undo(Exception):
    """Ends a dry run: what was counted is taken back."""


def prune(
    store: Store,
    cells: Iterable[str],
    versions: Mapping[tuple[str, str], Iterable[str]],
    *,
    dry: bool = False,
) -> Pruned:
    """Drop all responses but those of the given cells, and all scores of no response.

    `versions` are the digests that stay of each (model, settings). Its looks that found nothing stay,
    since a replay must not go back behind them; so do costs, which plans are reckoned from, and what
    is known of endpoints, whose generations are never numbered again. A dry run changes nothing.
    """
    found: Pruned | None = None
    try:
        with store.writing() as db:
            found = _prune(db, cells, versions)
            if dry:
                raise _Undo
    except _Undo:
        pass
    assert found is not None
    return found


def shrink(store: Store) -> None:
    """Give the room of dropped rows back to the disk; needs as much again while it works."""
    with store.reading() as db:
        db.execute("vacuum")
        db.execute("pragma wal_checkpoint(truncate)").fetchall()


def _prune(
    db: sqlite3.Connection,
    cells: Iterable[str],
    versions: Mapping[tuple[str, str], Iterable[str]],
) -> Pruned:
    db.execute("create temp table kept_cell(cell text primary key) without rowid")
    db.executemany("insert or ignore into kept_cell values(?)", ((cell,) for cell in cells))
    db.execute("create temp table kept_version(model, settings, digest)")
    rows = [(*about, digest) for about, digests in versions.items() for digest in [*digests, ""]]
    db.executemany("insert into kept_version values(?,?,?)", rows)
    gone = [
        _delete(db, "cell", "cell not in (select cell from kept_cell)"),
        _delete(db, "completion", "key not in (select key from cell)"),
        _delete(db, "score", "key not in (select key from completion)"),
        _delete(
            db,
            "identity",
            "(model, settings, digest) not in (select model, settings, digest from kept_version)",
        ),
    ]
    _delete(db, "broken", "uid not in (select uid from identity)")
    kept = int(db.execute("select count(*) from completion").fetchone()[0])
    db.execute("drop table kept_cell")
    db.execute("drop table kept_version")
    return Pruned(gone[1], gone[2], gone[0], gone[3], kept)


def _delete(db: sqlite3.Connection, table: str, where: str) -> int:
    return db.execute(f"delete from {table} where {where}").rowcount
