"""What is in a store, in numbers: nothing of what a model said."""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from safemlrm.responses.schema import version_of
from safemlrm.responses.store import Cost, Store


@dataclass(frozen=True, slots=True)
class Version:
    """One thing a model was, in how many runs, and when it was last looked at."""

    model: str
    digest: str
    runs: int
    last: str


@dataclass(frozen=True, slots=True)
class Verdicts:
    """How many responses a scorer scored, those without any verdict, and trace states."""

    scorer: str
    scores: int
    unscored: int
    states: Mapping[str, int]


@dataclass(frozen=True)
class Contents:
    """What a store holds; `orphans` are responses of no cell and scores of no response."""

    schema: int
    size: int
    completions: Mapping[str, int]
    finishes: Mapping[str, int]
    cells: int
    unanswered: int
    versions: tuple[Version, ...]
    verdicts: tuple[Verdicts, ...]
    cost: Cost
    endpoints: Mapping[str, int]
    orphans: tuple[int, int]
    last: str

    @property
    def total(self) -> int:
        """The number of responses."""
        return sum(self.completions.values())


def contents_of(store: Store) -> Contents:
    """Count what a store holds."""
    with store.reading() as db:
        versions = tuple(
            Version(*row)
            for row in db.execute(
                "select model, digest, count(distinct uid), max(at) from identity "
                "group by model, digest order by model, max(at), max(id)"
            )
        )
        return Contents(
            schema=version_of(db, store.path) or 0,
            size=size_of(store.path),
            completions=_counts(db, "select model, count(*) from completion group by model"),
            finishes=_counts(db, "select finish, count(*) from completion group by finish"),
            cells=_count(db, "select count(distinct cell) from cell"),
            unanswered=_count(
                db, "select count(*) from cell where key not in (select key from completion)"
            ),
            versions=versions,
            verdicts=_verdicts(db),
            cost=_cost(db),
            # What is known of judges has names without a bracket, and is shown with their scores.
            endpoints=_counts(
                db,
                "select endpoint, max(generation) from served where endpoint like '[%' "
                "group by endpoint",
            ),
            orphans=(
                _count(
                    db, "select count(*) from completion where key not in (select key from cell)"
                ),
                _count(
                    db, "select count(*) from score where key not in (select key from completion)"
                ),
            ),
            last=max((version.last for version in versions), default=""),
        )


def size_of(path: Path) -> int:
    """Return the bytes of a store with its journal, which lies beside the file a link leads to."""
    path = path.resolve()
    return sum(file.stat().st_size for file in (path, Path(f"{path}-wal")) if file.is_file())


def _verdicts(db: sqlite3.Connection) -> tuple[Verdicts, ...]:
    found: dict[str, dict[str, int]] = {}
    unscored: dict[str, int] = {}
    query = """
      select scorer, state, count(*),
             sum(coalesce(reasoning, answer, "full", refused, helped) is null)
      from score group by scorer, state order by scorer, state"""
    for scorer, state, count, none in db.execute(query):
        found.setdefault(scorer, {})[state] = count
        unscored[scorer] = unscored.get(scorer, 0) + none
    return tuple(
        Verdicts(scorer, sum(states.values()), unscored[scorer], states)
        for scorer, states in found.items()
    )


def _cost(db: sqlite3.Connection) -> Cost:
    query = (
        "select coalesce(sum(requests), 0), coalesce(sum(tokens), 0), coalesce(sum(seconds), 0) "
        "from cost"
    )
    requests, tokens, seconds = db.execute(query).fetchone()
    return Cost(int(requests), int(tokens), float(seconds))


def _counts(db: sqlite3.Connection, query: str) -> dict[str, int]:
    return {str(name): int(count) for name, count in sorted(db.execute(query))}


def _count(db: sqlite3.Connection, query: str) -> int:
    return int(db.execute(query).fetchone()[0])
