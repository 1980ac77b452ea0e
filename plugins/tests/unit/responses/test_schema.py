"""Stores of earlier versions are migrated whole or not at all, and readers take them as they are."""

from __future__ import annotations

import signal
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest

from safemlrm.errors import StoreError
from safemlrm.responses import schema
from safemlrm.responses.schema import SCHEMA_VERSION
from safemlrm.responses.store import Cost, Row, Scored, Store
from safemlrm.types import Completion, Identity, Score, TraceState

ANSWERS = """
create table meta(name text primary key, value text not null);
create table completion(
  key text primary key, model text not null, prompt text not null, text text not null,
  finish text not null, prompt_tokens integer not null, completion_tokens integer not null
) without rowid;
create table score(
  key text not null, scorer text not null, state text not null,
  prefilled integer not null, multiple integer not null,
  reasoning integer, answer integer, "full" integer, refused integer, helped integer,
  path text not null, primary key(key, scorer)
) without rowid;
create table cell(
  cell text not null, position integer not null, prompt text not null, key text not null,
  primary key(cell, position)
) without rowid;
create table broken(
  uid text not null, model text not null, reason text not null, primary key(uid, model)
);
insert into completion values('k0', 'm', 'fr-0', 'I cannot help.', 'stop', 7, 4);
insert into score values('k0', 'rules', 'absent', 0, 0, null, 0, 0, 1, null, 'refusal_open');
insert into cell values('cell', 0, 'fr-0', 'k0');
insert into broken values('run 1', 'n', 'killed by SIGSEGV');
"""
IDENTITIES = """
create table identity(
  id integer primary key autoincrement, uid text not null, model text not null,
  settings text not null, digest text not null, parts text not null
);
insert into identity(uid, model, settings, digest, parts)
  values('run 1', 'm', '{}', 'd1', '{"weights": "w"}'), ('run 2', 'm', '{}', 'd2', '{}');
"""
COSTS = """
create table cost(
  uid text not null, model text not null, settings text not null, requests integer not null,
  tokens integer not null, seconds real not null
);
insert into cost values('run 1', 'm', '{}', 1, 11, 0.5);
"""
SERVED = """
create table served(
  endpoint text not null, generation integer not null, canaries text not null,
  primary key(endpoint, generation)
);
insert into served values('http://localhost/v1', 2, '["a"]');
"""
EARLIER = {
    "1": f"""{ANSWERS}
      create table identity(
        model text not null, settings text not null, digest text not null, parts text not null,
        primary key(model, settings)
      ) without rowid;
      insert into identity values('m', '{{}}', 'd2', '{{}}');
      create table run(uid text primary key, plan text not null);
      insert into run values('run 1', '{{}}');
      insert into meta values('schema_version', '1');""",
    "2, before costs": f"{ANSWERS}{IDENTITIES}insert into meta values('schema_version', '2');",
    "2": f"{ANSWERS}{IDENTITIES}{COSTS}insert into meta values('schema_version', '2');",
    "3": f"{ANSWERS}{IDENTITIES}{COSTS}{SERVED}insert into meta values('schema_version', '3');",
}
ROW = Row(
    0,
    "fr-0",
    "k0",
    "stop",
    4,
    Scored(Score(None, 0, 0, True, None, "refusal_open"), TraceState.ABSENT),
)


def written(path: Path, version: str) -> Path:
    with closing(sqlite3.connect(path)) as db:
        db.execute("pragma journal_mode=wal")
        db.executescript(EARLIER[version])
    return path


def check(store: Store, version: str) -> None:
    """Everything that was in the fixture is there."""
    assert store.rows("cell", "rules", 1) == [ROW]
    assert store.completions(["k0"]) == {"k0": Completion("k0", "I cannot help.", "stop", 7, 4)}
    assert store.identity("m", "{}") == Identity("d2", {})
    assert store.broken("run 1", "n") == "killed by SIGSEGV"
    if version != "1":
        assert store.identity("m", "{}", "run 1") == Identity("d1", {"weights": "w"})
    costs = version in ("2", "3")
    assert store.cost("m", "{}") == (Cost(1, 11, 0.5) if costs else Cost())
    served = (2, '["a"]') if version == "3" else None
    assert store.served("http://localhost/v1") == served


def tables(path: Path) -> dict[str, list[tuple[object, ...]]]:
    """Every table with its columns, types and keys."""
    with closing(sqlite3.connect(path)) as db:
        names = [
            row[0] for row in db.execute("select name from sqlite_master where type = 'table'")
        ]
        return {name: list(db.execute(f"pragma table_info({name})")) for name in sorted(names)}


@pytest.mark.parametrize("version", EARLIER)
def test_an_earlier_store_is_migrated_and_keeps_everything(tmp_path: Path, version: str) -> None:
    path = written(tmp_path / "s.db", version)
    with Store(path) as store:
        check(store, version)
        store.set_identity("run 3", "m", "{}", Identity("d3"))
        assert store.identity("m", "{}") == Identity("d3")
        store.set_served("http://localhost/v1", 3, "[]")
    with Store(tmp_path / "new.db"):
        pass
    assert tables(path) == tables(tmp_path / "new.db")


@pytest.mark.parametrize("version", EARLIER)
def test_a_reader_takes_an_earlier_store_as_it_is(tmp_path: Path, version: str) -> None:
    path = written(tmp_path / "s.db", version)
    before = path.read_bytes()
    with Store(path, read_only=True) as store:
        check(store, version)
        assert len(store.identities()) == (1 if version == "1" else 2)
    assert path.read_bytes() == before


@pytest.mark.parametrize("version", ["1", "2", "3"])
def test_a_migration_that_fails_at_any_statement_leaves_the_old_store(
    tmp_path: Path, version: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    steps = schema._steps_from(int(version))
    for number in range(len(steps) + 1):
        path = written(tmp_path / f"{number}.db", version)
        before = tables(path)
        broken = [*steps[:number], "select no_such_column from meta"]
        with monkeypatch.context() as patch:
            patch.setattr(schema, "_steps_from", lambda _, broken=broken: broken)
            with pytest.raises(StoreError, match="could not be opened"):
                Store(path)
        assert tables(path) == before
        with Store(path) as store:
            check(store, version)


KILLED = """
import os, signal, sys
from pathlib import Path
from safemlrm.responses import schema
from safemlrm.responses.store import Store

steps = schema._steps_from

def killed(version):
    yield from steps(version)
    os.kill(os.getpid(), signal.SIGKILL)

schema._steps_from = killed
Store(Path(sys.argv[1]))
"""


@pytest.mark.parametrize("version", ["1", "2"])
def test_a_migration_killed_before_its_end_leaves_a_usable_store(
    tmp_path: Path, version: str
) -> None:
    path = written(tmp_path / "s.db", version)
    before = tables(path)
    done = subprocess.run([sys.executable, "-c", KILLED, str(path)], check=False)
    assert done.returncode == -signal.SIGKILL
    assert tables(path) == before
    with Store(path, read_only=True) as store:
        check(store, version)
    with Store(path) as store:
        check(store, version)


def test_processes_that_migrate_at_once_do_it_once(tmp_path: Path) -> None:
    path = written(tmp_path / "s.db", "1")
    code = (
        "import sys; from pathlib import Path; from safemlrm.responses.store import Store; Store("
    )
    command = [sys.executable, "-c", f"{code}Path(sys.argv[1])).close()", str(path)]
    processes = [subprocess.Popen(command, stderr=subprocess.PIPE, text=True) for _ in range(4)]
    assert [p.communicate()[1] for p in processes] == [""] * 4
    with Store(path, read_only=True) as store:
        check(store, "1")


def test_a_newer_store_is_refused_and_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "s.db"
    with Store(path) as store:
        store.set_broken("run", "m", "why")
    newer = str(SCHEMA_VERSION + 1)
    with closing(sqlite3.connect(path)) as db, db:
        db.execute("update meta set value = ? where name = 'schema_version'", (newer,))
    before = path.read_bytes()
    for read_only in (False, True):
        with pytest.raises(StoreError, match=rf"written by another version \(schema {newer}, "):
            Store(path, read_only=read_only)
    assert path.read_bytes() == before


@pytest.mark.parametrize("read_only", [False, True])
def test_a_database_of_something_else_gets_no_tables(tmp_path: Path, read_only: bool) -> None:
    path = tmp_path / "bookmarks.db"
    with closing(sqlite3.connect(path)) as db, db:
        db.execute("create table meta(name text, value text)")
    before = path.read_bytes()
    with pytest.raises(StoreError, match="database of something else"):
        Store(path, read_only=read_only)
    assert path.read_bytes() == before


def test_an_empty_file_is_no_store_to_read_and_becomes_one_to_write(tmp_path: Path) -> None:
    path = tmp_path / "s.db"
    path.touch()
    with pytest.raises(StoreError, match="the store is empty; measure first"):
        Store(path, read_only=True)
    with Store(path) as store:
        assert store.count() == 0
