"""The tables of a store, and how the tables of an earlier version become them.

A migration is one transaction and leaves no copy behind: whatever kills it, the file holds the old
tables or the new ones, and a copy of a store that fills a disk would not fit beside it. No step
touches responses, scores or cells; their tables have been the same since schema 1.
"""

from __future__ import annotations

import sqlite3
from pathlib import Path

from safemlrm.errors import StoreError

SCHEMA_VERSION = 4

_ANSWERS = (
    "create table meta(name text primary key, value text not null)",
    """create table completion(
      key text primary key, model text not null, prompt text not null, text text not null,
      finish text not null, prompt_tokens integer not null, completion_tokens integer not null
    ) without rowid""",
    """create table score(
      key text not null, scorer text not null, state text not null,
      prefilled integer not null, multiple integer not null,
      reasoning integer, answer integer, "full" integer, refused integer, helped integer,
      path text not null, primary key(key, scorer)
    ) without rowid""",
    """create table cell(
      cell text not null, position integer not null, prompt text not null, key text not null,
      primary key(cell, position)
    ) without rowid""",
    """create table broken(
      uid text not null, model text not null, reason text not null, primary key(uid, model)
    )""",
)
_IDENTITY = """create table identity(
  id integer primary key autoincrement, uid text not null, model text not null,
  settings text not null, digest text not null, parts text not null
)"""
_COST = """create table if not exists cost(
  uid text not null, model text not null, settings text not null, requests integer not null,
  tokens integer not null, seconds real not null
)"""
_SERVED = """create table served(
  endpoint text not null, generation integer not null, canaries text not null,
  primary key(endpoint, generation)
)"""
# When a model was looked at, so that stores of two machines can be put in order.
_LOOKED_AT = "alter table identity add column at text not null default ''"

_NEW = (*_ANSWERS, _IDENTITY, _COST, _SERVED, _LOOKED_AT)
_STEPS: dict[int, tuple[str, ...]] = {
    1: (
        "alter table identity rename to earlier",
        _IDENTITY,
        "insert into identity(uid, model, settings, digest, parts) "
        "select 'schema 1', model, settings, digest, parts from earlier order by model, settings",
        "drop table earlier",
        "drop table if exists run",
        _COST,
    ),
    # The first stores of schema 2 have no costs yet.
    2: (_COST, _SERVED),
    3: (_LOOKED_AT,),
}
"""The statements that bring a schema to the next one."""

_SHADOWS = {
    "identity": (
        "create temp table identity as "
        "select {} as id, {} as uid, model, settings, digest, parts, '' as at from main.identity"
    ),
    "cost": "create temp table cost(uid, model, settings, requests, tokens, seconds)",
    "served": "create temp table served(endpoint, generation, canaries)",
}


def prepare(db: sqlite3.Connection, path: Path) -> None:
    """Create the tables of a new store, or bring those of an earlier one up to date.

    Raises `StoreError` for a store of a newer version, and for a database that is no store.
    """
    if version_of(db, path) == SCHEMA_VERSION:
        return
    with db:
        db.execute("begin immediate")
        found = version_of(db, path)  # by now another process may have done it
        statements = _NEW if found is None else _steps_from(found)
        for statement in statements:
            db.execute(statement)
        db.execute(
            "insert or replace into meta values('schema_version', ?)", (str(SCHEMA_VERSION),)
        )


def _steps_from(version: int) -> list[str]:
    return [s for step in range(version, SCHEMA_VERSION) for s in _STEPS[step]]


def shadow(db: sqlite3.Connection, path: Path) -> None:
    """Let a reader see an earlier store as if it had been migrated, and leave the file as it is.

    Temporary tables hide those that changed; they hold what models were and no responses.
    """
    found = version_of(db, path)
    if found is None:
        raise StoreError(f"{path}: the store is empty; measure first, or name another file")
    if found == SCHEMA_VERSION:
        return
    names = {str(row[0]) for row in db.execute("select name from main.sqlite_master")}
    # Schema 1 has no ids and one row a model, so that any order is right.
    id_and_uid = ("0", "'schema 1'") if found == 1 else ("id", "uid")
    db.execute(_SHADOWS["identity"].format(*id_and_uid))
    for name in ("cost", "served"):
        if name not in names:
            db.execute(_SHADOWS[name])


def version_of(db: sqlite3.Connection, path: Path) -> int | None:
    """Return the schema of a store, None for a database without a table.

    Raises `StoreError` for one that is no store, and for a newer one.
    """
    names = {str(row[0]) for row in db.execute("select name from main.sqlite_master")}
    if not names:
        return None
    found = None
    if {"meta", "completion", "score", "cell"} <= names:
        query = "select value from main.meta where name = 'schema_version'"
        found = db.execute(query).fetchone()
    if found is None:
        raise StoreError(
            f"{path}: the store could not be opened: this is a database of something else, and was "
            "left as it is; name another file"
        )
    if found[0] not in map(str, range(1, SCHEMA_VERSION + 1)):
        raise StoreError(
            f"{path}: written by another version (schema {found[0]}, this one reads "
            f"{SCHEMA_VERSION}); move the file away or install the version that wrote it"
        )
    return int(found[0])
