"""The crash-safe, content-keyed store of completions and scores (SQLite, WAL, one commit a batch)."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from safemlrm.errors import StoreError
from safemlrm.types import Completion, Identity, Score, TraceState

SCHEMA_VERSION = 3
_MAGIC = b"SQLite format 3\x00"
_SCHEMA = """
create table if not exists meta(name text primary key, value text not null);
create table if not exists completion(
  key text primary key, model text not null, prompt text not null, text text not null,
  finish text not null, prompt_tokens integer not null, completion_tokens integer not null
) without rowid;
create table if not exists score(
  key text not null, scorer text not null, state text not null,
  prefilled integer not null, multiple integer not null,
  reasoning integer, answer integer, "full" integer, refused integer, helped integer,
  path text not null, primary key(key, scorer)
) without rowid;
create table if not exists cell(
  cell text not null, position integer not null, prompt text not null, key text not null,
  primary key(cell, position)
) without rowid;
create table if not exists identity(
  id integer primary key autoincrement, uid text not null, model text not null,
  settings text not null, digest text not null, parts text not null
);
create table if not exists cost(
  uid text not null, model text not null, settings text not null, requests integer not null,
  tokens integer not null, seconds real not null
);
create table if not exists served(
  endpoint text not null, generation integer not null, canaries text not null,
  primary key(endpoint, generation)
);
create table if not exists broken(
  uid text not null, model text not null, reason text not null, primary key(uid, model)
);
"""


@dataclass(frozen=True, slots=True)
class Scored:
    """A score with the trace state it was given for."""

    score: Score
    state: TraceState
    prefilled: bool = False
    multiple: bool = False


@dataclass(frozen=True, slots=True)
class Cost:
    """What asking took: requests, tokens read and written, seconds with loading the model."""

    requests: int = 0
    tokens: int = 0
    seconds: float = 0.0


@dataclass(frozen=True, slots=True)
class Row:
    """One asked prompt of a cell; `scored` is None where no judge has seen the completion."""

    position: int
    prompt: str
    key: str
    finish: str
    completion_tokens: int
    scored: Scored | None


class Store:
    """One SQLite file; several processes may read and write it at once.

    Raises `StoreError` with the file and what to do when it cannot be opened, read or written.
    """

    def __init__(self, path: Path, *, read_only: bool = False) -> None:
        self.path = path
        self._read_only = read_only
        with self._guard("opened"):
            if read_only and not path.is_file():
                raise StoreError(
                    f"{path}: there is no store yet; measure first, by pytest without --safety-replay "
                    "or by `safemlrm measure`"
                )

            if not read_only:
                path.parent.mkdir(parents=True, exist_ok=True)
            _refuse_a_cut(path)
            mode = "ro" if read_only else "rwc"
            address = f"{path.resolve().as_uri()}?mode={mode}"
            self._db = sqlite3.connect(address, uri=True, timeout=60)
            if not read_only:
                self._db.execute("pragma journal_mode=wal")
                self._db.execute("pragma synchronous=normal")
            self._check_schema()

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

        lock = FileLock(f"{self.path}.lock")
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
        with self._guard("written"), self._db:
            self._db.executemany(
                "insert or ignore into completion values(?,?,?,?,?,?,?)",
                [
                    (c.key, model, prompt, c.text, c.finish, c.prompt_tokens, c.completion_tokens)
                    for prompt, c in completions
                ],
            )
            self._db.executemany(
                "insert or replace into score values(?,?,?,?,?,?,?,?,?,?,?)",
                [_score_row(key, scorer, scored) for key, scored in scores],
            )

    def completions(self, keys: Iterable[str]) -> dict[str, Completion]:
        """Return the stored completions among the keys."""
        query = (
            "select key, text, finish, prompt_tokens, completion_tokens "
            "from completion where key in ({})"
        )
        return {row[0]: Completion(*row) for row in self._chunked(query, keys)}

    # -- cells

    def index(self, entries: Iterable[tuple[str, int, str, str]]) -> None:
        """Record (cell, position, prompt id, completion key) of the cells' orders."""
        with self._guard("written"), self._db:
            self._db.executemany("insert or replace into cell values(?,?,?,?)", entries)

    def rows(self, cell: str, scorer: str, prompts: int) -> list[Row]:
        """Return what is stored of a cell's first `prompts` prompts, in order; gaps are left out."""
        query = """
          select c.position, c.prompt, c.key, k.finish, k.completion_tokens, s.state, s.prefilled,
                 s.multiple, s.reasoning, s.answer, s."full", s.refused, s.helped, s.path
          from cell c join completion k on k.key = c.key
          left join score s on s.key = c.key and s.scorer = ?
          where c.cell = ? and c.position < ? order by c.position"""
        with self._guard("read"):
            return [_row(*r) for r in self._db.execute(query, (scorer, cell, prompts))]

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
        with self._guard("written"), self._db:
            self._db.execute(
                "insert into identity(uid, model, settings, digest, parts) values(?,?,?,?,?)",
                (uid, model, settings, found.digest, parts),
            )

    def identity(self, model: str, settings: str, uid: str | None = None) -> Identity | None:
        """Return what a model was in a run, or in the last run that looked at it under these settings.

        None if no run did, or if the model could not be read then.
        """
        where, values = "model = ? and settings = ?", [model, settings]
        if uid is not None:
            where += " and uid = ?"
            values.append(uid)
        query = f"select digest, parts from identity where {where} order by id desc limit 1"
        found = self._one(query, tuple(values))
        if found is None or not found[0]:
            return None
        return Identity(str(found[0]), json.loads(str(found[1])))

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
        with self._guard("written"), self._db:
            self._db.execute(
                "insert or replace into served values(?,?,?)", (endpoint, generation, canaries)
            )

    def set_broken(self, uid: str, model: str, reason: str) -> None:
        """Record that a model could not be measured in this run."""
        with self._guard("written"), self._db:
            self._db.execute("insert or replace into broken values(?,?,?)", (uid, model, reason))

    def broken(self, uid: str, model: str) -> str | None:
        """Return why a model could not be measured in this run, None if it could."""
        found = self._one("select reason from broken where uid = ? and model = ?", (uid, model))
        return None if found is None else str(found[0])

    def add_cost(self, uid: str, model: str, settings: str, cost: Cost) -> None:
        """Record what asking a model cost in this run."""
        with self._guard("written"), self._db:
            self._db.execute(
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

    # -- inside

    def _check_schema(self) -> None:
        if not self._read_only:
            self._db.executescript(_SCHEMA)
            self._db.execute(
                "insert or ignore into meta values('schema_version', ?)", (str(SCHEMA_VERSION),)
            )
            self._db.commit()
        found = self._db.execute("select value from meta where name = 'schema_version'").fetchone()
        if found is None or found[0] != str(SCHEMA_VERSION):
            raise StoreError(
                f"{self.path}: written by another version (schema {found and found[0]}, this one "
                f"reads {SCHEMA_VERSION}); move the file away or install the version that wrote it"
            )

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


def _refuse_a_cut(path: Path) -> None:
    """Refuse a file that is shorter than its header says: SQLite would read zeros for what is gone.

    With a journal beside it the file may rightly be behind; SQLite then recovers it.
    """
    journal = Path(f"{path}-wal")
    if not path.is_file() or (journal.is_file() and journal.stat().st_size):
        return
    with path.open("rb") as file:
        header = file.read(100)
    size = path.stat().st_size
    if not header.startswith(_MAGIC) or size == 0:
        return
    page = int.from_bytes(header[16:18], "big")
    expected = int.from_bytes(header[28:32], "big") * (65536 if page == 1 else page)
    if size != expected:
        raise StoreError(
            f"{path}: the store is damaged: it has {size} bytes and should have {expected}; "
            "restore a copy, or move it away to ask everything again"
        )


def _score_row(key: str, scorer: str, scored: Scored) -> tuple[object, ...]:
    s = asdict(scored.score)
    channels = (s["reasoning"], s["answer"], s["full"], s["refused"], s["helped"], s["path"])
    return (key, scorer, scored.state.value, scored.prefilled, scored.multiple, *channels)


def _row(
    position: int,
    prompt: str,
    key: str,
    finish: str,
    tokens: int,
    state: str | None,
    prefilled: int,
    multiple: int,
    reasoning: int | None,
    answer: int | None,
    full: int | None,
    refused: int | None,
    helped: int | None,
    path: str,
) -> Row:
    if state is None:
        return Row(position, prompt, key, finish, tokens, None)
    score = Score(reasoning, answer, full, _yes_no(refused), _yes_no(helped), path)
    scored = Scored(score, TraceState(state), bool(prefilled), bool(multiple))
    return Row(position, prompt, key, finish, tokens, scored)


def _yes_no(value: int | None) -> bool | None:
    return None if value is None else bool(value)
