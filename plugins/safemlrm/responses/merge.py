"""Stores of several machines -> one; a response keeps the text it has.

Two stores that hold one key with different content were measured apart: a sampled endpoint, another
kind of device in 16 bits. Neither text is better, and taking the first by a rule that does not look
at them biases nothing, but it is for the user to say so: without `keep_first` nothing is merged.
An endpoint whose generation has other canaries in the two stores is refused in any case: behind it
were two models, and their answers would stand under one key.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path

from safemlrm.errors import StoreError
from safemlrm.responses.store import Seen, Store

CHUNK = 500
DIGITS = 12
"""Characters of a digest that are shown."""
_Row = tuple[object, ...]


@dataclass(frozen=True, slots=True)
class _Table:
    """A table that is merged row by row: how many of its columns are the key, what is compared."""

    name: str
    columns: int
    key: tuple[str, ...]
    content: tuple[int, ...]


# The name of a model and of a prompt are what the other safety.toml calls them: not content.
_COMPLETION = _Table("completion", 7, ("key",), (3, 4, 5, 6))
_SCORE = _Table("score", 11, ("key", "scorer"), tuple(range(2, 11)))
_CELL = _Table("cell", 4, ("cell", "position"), (3,))


@dataclass
class Merged:
    """What one store added to the first: rows by table, those it shared, keys that differed, notes."""

    path: Path
    added: dict[str, int] = field(default_factory=dict)
    shared: int = 0
    differing: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


def merge(into: Store, others: Sequence[Store], *, keep_first: bool = False) -> list[Merged]:
    """Add what other stores hold to a store, all of it or nothing.

    Raises `StoreError` for a file that is named twice or damaged, and where contents differ.
    """
    _refuse_twice([into, *others])
    for other in others:
        _refuse_damage(other)
    with into.writing() as db:
        merged = [_merge_one(db, into, other) for other in others]
        if not keep_first:
            _refuse_difference(merged)
    return merged


def _refuse_twice(stores: Sequence[Store]) -> None:
    for number, store in enumerate(stores):
        if any(store.path.samefile(earlier.path) for earlier in stores[:number]):
            raise StoreError(f"{store.path}: named twice; name each store once")


def _refuse_damage(store: Store) -> None:
    try:
        with store.reading() as db:
            found = str(db.execute("pragma quick_check(1)").fetchone()[0])
    except StoreError as error:
        found = str(error.__cause__)
    if found != "ok":
        raise StoreError(
            f"{store.path}: the store is damaged ({' '.join(found.split())}); copy it again from where "
            "it was measured; nothing was merged"
        )


def _refuse_difference(merged: Iterable[Merged]) -> None:
    for result in merged:
        if result.differing:
            keys = result.differing
            more = f" and {len(keys) - 2} more" if len(keys) > 2 else ""
            raise StoreError(
                f"{result.path}: {len(keys)} entries are there with another content than here: "
                f"{', '.join(keys[:2])}{more}; nothing was merged. --keep-first keeps what the first "
                "store has"
            )


def _merge_one(db: sqlite3.Connection, into: Store, other: Store) -> Merged:
    result = Merged(other.path)
    with other.reading() as source:
        source.execute("begin")  # one moment of a store that may be written to
        try:
            _merge_served(db, source, result)
            differing = _merge_rows(db, source, _COMPLETION, result)
            # A score belongs to the text it was given for.
            _merge_rows(db, source, _SCORE, result, without={row[0] for row in differing})
            _merge_rows(db, source, _CELL, result)
            _merge_runs(db, source, result)
            _merge_identities(db, into.identities(), other.identities(), result)
        finally:
            source.rollback()
    return result


def _merge_rows(
    db: sqlite3.Connection,
    source: sqlite3.Connection,
    table: _Table,
    result: Merged,
    without: frozenset[object] | set[object] = frozenset(),
) -> set[tuple[object, ...]]:
    """Add the rows that are not there yet; return the keys of those that are, with another content."""
    width, places = len(table.key), ",".join("?" * table.columns)
    names = ",".join(table.key)
    differing: set[tuple[object, ...]] = set()
    added = 0
    rows = source.execute(f"select * from main.{table.name} order by {names}")
    for chunk in _chunks(row for row in rows if row[0] not in without):
        marks = ",".join([f"({','.join('?' * width)})"] * len(chunk))
        query = f"select * from {table.name} where ({names}) in (values {marks})"
        wanted = [value for row in chunk for value in row[:width]]
        here = {row[:width]: row for row in db.execute(query, wanted)}
        new = [row for row in chunk if row[:width] not in here]
        db.executemany(f"insert into {table.name} values({places})", new)
        added += len(new)
        differing |= {
            row[:width]
            for row in chunk
            if row[:width] in here and not _same(row, here[row[:width]], table)
        }
        result.shared += len(chunk) - len(new)
    result.added[table.name] = added
    result.differing += [_named(table, key) for key in sorted(differing, key=str)]
    return differing


def _chunks(rows: Iterator[_Row]) -> Iterator[list[_Row]]:
    while chunk := list(islice(rows, CHUNK)):
        yield chunk


def _same(row: _Row, other: _Row, table: _Table) -> bool:
    return all(row[place] == other[place] for place in table.content)


def _named(table: _Table, key: tuple[object, ...]) -> str:
    return f"{table.name} {' '.join(map(str, key))}"


def _merge_served(db: sqlite3.Connection, source: sqlite3.Connection, result: Merged) -> None:
    for endpoint, generation, canaries in source.execute("select * from served"):
        here = db.execute(
            "select canaries from served where endpoint = ? and generation = ?",
            (endpoint, generation),
        ).fetchone()
        if here is not None and here[0] != canaries:
            raise StoreError(
                f"{result.path}: the model behind {endpoint} (generation {generation}) answered its "
                "canaries otherwise than the one in the first store: these are answers of two models; "
                "nothing was merged. Measure one of the halves again, into a new store"
            )
        db.execute("insert or ignore into served values(?,?,?)", (endpoint, generation, canaries))


def _merge_runs(db: sqlite3.Connection, source: sqlite3.Connection, result: Merged) -> None:
    """Add costs and what broke; a cost has no key, so a row that is there was merged before."""
    db.executemany(
        "insert or ignore into broken values(?,?,?)",
        source.execute("select uid, model, reason from broken"),
    )
    columns = "uid, model, settings, requests, tokens, seconds"
    before = set(db.execute(f"select {columns} from cost"))
    new = [row for row in source.execute(f"select {columns} from cost") if row not in before]
    db.executemany("insert into cost values(?,?,?,?,?,?)", new)
    result.added["cost"] = len(new)


def _merge_identities(
    db: sqlite3.Connection, ours: Sequence[Seen], theirs: Sequence[Seen], result: Merged
) -> None:
    """Add what models were; the later look is what a replay goes by, on whichever machine it was.

    A look that found nothing counts like any other: an endpoint whose model changed in the middle of
    a run leaves one, so that nobody reads its answers again.
    """
    _note_versions(ours, theirs, result)
    here = {_row_of(seen) for seen in ours}
    new = [_row_of(seen) for seen in theirs if _row_of(seen) not in here]
    insert = "insert into identity(uid, model, settings, digest, parts, at) values(?,?,?,?,?,?)"
    db.executemany(insert, new)
    result.added["identity"] = len(new)


def _row_of(seen: Seen) -> tuple[str, str, str, str, str, str]:
    parts = json.dumps(dict(seen.identity.parts), sort_keys=True)
    return seen.uid, seen.model, seen.settings, seen.identity.digest, parts, seen.at


def _note_versions(ours: Sequence[Seen], theirs: Sequence[Seen], result: Merged) -> None:
    """Say which models were not the same on the two machines: a replay reads one version alone."""
    last = [{(s.model, s.settings): s for s in side} for side in (ours, theirs)]
    for about in sorted(last[0].keys() & last[1].keys()):
        here, there = last[0][about], last[1][about]
        if here.identity.digest == there.identity.digest:
            continue
        later = max(there, here, key=lambda seen: seen.at)
        which = "the later" if here.at != there.at else f"that of {result.path.name}"
        result.notes.append(
            f"{about[0]!r} is {_look(here)} here and {_look(there)} in {result.path.name}; a replay reads "
            f"{which}, {_look(later)}, alone{_why(here, there)}"
        )


def _look(seen: Seen) -> str:
    what = seen.identity.digest[:DIGITS] or "unreadable"
    return f"{what} ({seen.at or 'time unknown'})"


def _why(here: Seen, there: Seen) -> str:
    """Name the parts of an identity that differ."""
    ours, theirs = here.identity.parts, there.identity.parts
    parts = [part for part in sorted({*ours, *theirs}) if ours.get(part) != theirs.get(part)]
    return f" (they differ in {', '.join(parts)})" if parts else ""
