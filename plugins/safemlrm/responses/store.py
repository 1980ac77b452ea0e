"""The crash-safe, content-keyed store of completions and scores (SQLite, WAL, one commit a batch)."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from safemlrm.choice import CHOSEN
from safemlrm.errors import StoreError
from safemlrm.responses.opening import connect
from safemlrm.responses.rows import Cost, Row, Scored, Seen, row_of, score_row
from safemlrm.types import Completion, Identity

__all__ = ["Cost", "Row", "Scored", "Seen", "Store"]
_TEXT = "cast(text as text)"
"""Whoever writes into the file by hand may leave bytes, which no reader of texts expects."""


class Store:
    """One SQLite file; several processes may read and write it at once.

    Raises `StoreError` with the file and what to do when it cannot be opened, read or written.
    """

    def __init__(self, path: Path, *, read_only: bool = False) -> None:
        self.path = path
        with self._guard("opened"):
            self._db = connect(path, read_only=read_only)

    def close(self) -> None:
        """Release the file."""
        self._db.close()

    def __enter__(self) -> Store:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @contextmanager
    def lock(self, on_wait: Callable[[], None]) -> Iterator[None]:
        """Hold the right to measure into this store; a second run waits here and then finds it done."""
        from filelock import FileLock, Timeout

        lock = FileLock(f"{self.path.resolve()}.lock")  # one file, whatever link leads to it
        with self._guard("locked"):
            try:
                lock.acquire(timeout=0)
            except Timeout:
                on_wait()
                lock.acquire()
        try:
            yield
        finally:
            lock.release()

    # -- completions and scores

    def missing(self, keys: Iterable[str]) -> set[str]:
        """Return the keys that no completion is stored for."""
        return self._absent("select key from completion where key in ({})", keys)

    def unscored(self, keys: Iterable[str], scorer: str) -> set[str]:
        """Return the keys that this scorer has not scored, whether or not a completion exists."""
        return self._absent(
            "select key from score where key in ({}) and scorer = ?", keys, (scorer,)
        )

    def add(
        self,
        model: str,
        completions: Sequence[tuple[str, Completion]],
        scorer: str,
        scores: Sequence[tuple[str, Scored]],
    ) -> None:
        """Commit a batch of (prompt id, completion) and (key, score) in one transaction."""
        with self.writing() as db:
            db.executemany(
                "insert or ignore into completion values(?,?,?,?,?,?,?)",
                [
                    (c.key, model, prompt, c.text, c.finish, c.prompt_tokens, c.completion_tokens)
                    for prompt, c in completions
                ],
            )
            db.executemany(
                "insert or replace into score values(?,?,?,?,?,?,?,?,?,?,?)",
                [score_row(key, scorer, scored) for key, scored in scores],
            )

    def completions(self, keys: Iterable[str]) -> dict[str, Completion]:
        """Return the stored completions among the keys."""
        query = (
            f"select key, {_TEXT}, finish, prompt_tokens, completion_tokens "
            "from completion where key in ({})"
        )
        return {row[0]: Completion(*row) for row in self._chunked(query, keys)}

    def texts(self, keys: Iterable[str]) -> dict[str, str]:
        """Return the texts of the stored completions among the keys."""
        return dict(self._chunked(f"select key, {_TEXT} from completion where key in ({{}})", keys))

    # -- cells

    def index(self, entries: Iterable[tuple[str, int, str, str]]) -> None:
        """Record (cell, position, prompt id, completion key) of the cells' orders."""
        with self.writing() as db:
            db.executemany("insert or replace into cell values(?,?,?,?)", entries)

    def rows(self, cell: str, scorer: str, prompts: int) -> list[Row]:
        """Return what is stored of a cell's first `prompts` prompts, in order; gaps are left out."""
        query = """
          select c.position, c.prompt, c.key, k.finish, k.completion_tokens, s.state, s.prefilled,
                 s.multiple, s.reasoning, s.answer, s."full", s.refused, s.helped, s.path,
                 case when s.path = ? then k.text end
          from cell c join completion k on k.key = c.key
          left join score s on s.key = c.key and s.scorer = ?
          where c.cell = ? and c.position < ? order by c.position"""
        values = (CHOSEN, scorer, cell, prompts)
        with self._guard("read"):
            return [row_of(*r) for r in self._db.execute(query, values)]

    def asked(self, cell: str, prompts: int) -> int:
        """Return how many of a cell's first prompts were asked, whether or not an answer came."""
        found = self._one(
            "select count(*) from cell where cell = ? and position < ?", (cell, prompts)
        )
        return int(str(found[0])) if found else 0

    # -- what a run leaves for its tests

    def set_identity(self, uid: str, model: str, settings: str, identity: Identity | None) -> None:
        """Remember what a model is in a run, for readers without its weights; None if it is unreadable."""
        found = identity or Identity("")
        parts = json.dumps(dict(found.parts), sort_keys=True)
        now = datetime.now(UTC).isoformat(timespec="seconds")
        with self.writing() as db:
            # A clock that is set back does not make this run an earlier one.
            db.execute(
                "insert into identity(uid, model, settings, digest, parts, at) select "
                "?,?,?,?,?, max(?, coalesce((select max(at) from identity), ''))",
                (uid, model, settings, found.digest, parts, now),
            )

    def identity(self, model: str, settings: str, uid: str | None = None) -> Identity | None:
        """Return what a model was in a run, or in the last run that looked at it under these settings.

        None if no run did, or if the model could not be read then.
        """
        where, values = "model = ? and settings = ?", [model, settings]
        if uid is not None:
            where += " and uid = ?"
            values.append(uid)
        query = (
            f"select digest, parts from identity where {where} order by at desc, id desc limit 1"
        )
        found = self._one(query, tuple(values))
        if found is None or not found[0]:
            return None
        return Identity(str(found[0]), json.loads(str(found[1])))

    def identities(self) -> list[Seen]:
        """Return what every model was each time it was looked at, the last look last."""
        query = "select uid, model, settings, digest, parts, at from identity order by at, id"
        with self._guard("read"):
            return [
                Seen(uid, model, settings, Identity(digest, json.loads(parts)), at)
                for uid, model, settings, digest, parts, at in self._db.execute(query)
            ]

    def served(self, endpoint: str) -> tuple[int, str] | None:
        """Return the last generation of the model behind an endpoint, and the canaries it was known by."""
        found = self._one(
            "select generation, canaries from served where endpoint = ? "
            "order by generation desc limit 1",
            (endpoint,),
        )
        return None if found is None else (int(str(found[0])), str(found[1]))

    def set_served(self, endpoint: str, generation: int, canaries: str) -> None:
        """Remember by which canaries a generation of the model behind an endpoint is known."""
        with self.writing() as db:
            db.execute(
                "insert or replace into served values(?,?,?)", (endpoint, generation, canaries)
            )

    def set_broken(self, uid: str, model: str, reason: str) -> None:
        """Record that a model could not be measured in this run."""
        with self.writing() as db:
            db.execute("insert or replace into broken values(?,?,?)", (uid, model, reason))

    def forget_broken(self, uid: str, model: str) -> None:
        """Forget that a model could not be measured under this run's id, which may be used again."""
        with self.writing() as db:
            db.execute("delete from broken where uid = ? and model = ?", (uid, model))

    def broken(self, uid: str, model: str) -> str | None:
        """Return why a model could not be measured in this run, None if it could."""
        found = self._one("select reason from broken where uid = ? and model = ?", (uid, model))
        return None if found is None else str(found[0])

    def add_cost(self, uid: str, model: str, settings: str, cost: Cost) -> None:
        """Record what asking a model cost in this run."""
        with self.writing() as db:
            db.execute(
                "insert into cost values(?,?,?,?,?,?)",
                (uid, model, settings, cost.requests, cost.tokens, cost.seconds),
            )

    def cost(self, model: str, settings: str) -> Cost:
        """Return what asking a model under these settings cost over all runs."""
        query = """
          select coalesce(sum(requests), 0), coalesce(sum(tokens), 0), coalesce(sum(seconds), 0)
          from cost where model = ? and settings = ?"""
        requests, tokens, seconds = self._one(query, (model, settings)) or (0, 0, 0.0)
        return Cost(int(str(requests)), int(str(tokens)), float(str(seconds)))

    def count(self) -> int:
        """Return the number of stored completions."""
        found = self._one("select count(*) from completion", ())
        return int(str(found[0])) if found else 0

    # -- for what looks at a whole store

    @contextmanager
    def reading(self) -> Iterator[sqlite3.Connection]:
        """Lend the connection for reading; what SQLite complains of is a `StoreError`."""
        with self._guard("read"):
            yield self._db

    @contextmanager
    def writing(self) -> Iterator[sqlite3.Connection]:
        """Lend the connection for one transaction; an error takes everything in it back."""
        with self._guard("written"), self._db:
            # The right to write comes first: what reads before it writes would fail where another
            # process wrote in between.
            self._db.execute("begin immediate")
            yield self._db

    # -- inside

    def _absent(self, query: str, keys: Iterable[str], more: tuple[str, ...] = ()) -> set[str]:
        wanted = set(keys)
        return wanted - {str(row[0]) for row in self._chunked(query, wanted, more)}

    def _chunked(
        self, query: str, keys: Iterable[str], more: tuple[str, ...] = ()
    ) -> Iterator[tuple[Any, ...]]:
        wanted = sorted(set(keys))
        with self._guard("read"):
            for start in range(0, len(wanted), 500):
                chunk = wanted[start : start + 500]
                marks = ",".join("?" * len(chunk))
                yield from self._db.execute(query.format(marks), (*chunk, *more))

    def _one(self, query: str, values: tuple[str | int, ...]) -> tuple[object, ...] | None:
        with self._guard("read"):
            row: tuple[object, ...] | None = self._db.execute(query, values).fetchone()
            return row

    @contextmanager
    def _guard(self, verb: str) -> Iterator[None]:
        try:
            yield
        except (sqlite3.Error, OSError) as error:
            raise StoreError(
                f"{self.path}: the store could not be {verb} ({error}); what was committed before "
                "is kept. Check free space and permissions, or set another store in safety.toml"
            ) from error
