"""The store keeps what was committed, says what it cannot read, and never misreads."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from safemlrm.errors import StoreError
from safemlrm.responses.contents import size_of
from safemlrm.responses.store import Scored, Store
from safemlrm.types import Completion, Identity, Score, TraceState


def completion(key: str, text: str = "I cannot help.") -> Completion:
    return Completion(key, text, "stop", 7, 4)


SCORED = Scored(Score(None, 0, 0, True, None, "refusal_open"), TraceState.ABSENT)


def test_a_cell_reads_back_in_order_with_gaps_left_out(tmp_path: Path) -> None:
    with Store(tmp_path / "s.db") as store:
        store.index([("cell", position, f"fr-{position}", f"k{position}") for position in range(4)])
        store.add(
            "m", [("fr-2", completion("k2")), ("fr-0", completion("k0"))], "rules", [("k0", SCORED)]
        )
        rows = store.rows("cell", "rules", 4)
        assert [(r.position, r.prompt, r.scored) for r in rows] == [
            (0, "fr-0", SCORED),
            (2, "fr-2", None),
        ]
        assert [r.position for r in store.rows("cell", "rules", 2)] == [0]
        assert store.rows("cell", "other judge", 4)[0].scored is None


def test_a_completion_is_never_replaced(tmp_path: Path) -> None:
    with Store(tmp_path / "s.db") as store:
        store.add("m", [("fr-0", completion("k0"))], "rules", [])
        store.add("m", [("fr-0", completion("k0", "something else"))], "rules", [])
        assert store.completions(["k0", "k1"]) == {"k0": completion("k0")}
        assert store.missing(["k0", "k1"]) == {"k1"}
        assert store.unscored(["k0"], "rules") == {"k0"}


def test_many_keys_are_looked_up_in_chunks(tmp_path: Path) -> None:
    keys = [f"k{number}" for number in range(1234)]
    with Store(tmp_path / "s.db") as store:
        store.add("m", [("p", completion(key)) for key in keys], "rules", [])
        assert store.missing([*keys, "absent"]) == {"absent"}
        assert store.count() == 1234


def test_what_a_run_leaves_for_its_tests(tmp_path: Path) -> None:
    with Store(tmp_path / "s.db") as store:
        assert store.identity("m", "{}") is None
        store.set_identity("run 1", "m", "{}", Identity("d1", {"weights": "w"}))
        store.set_identity("run 2", "m", "{}", Identity("d2", {"weights": "v"}))
        store.set_identity("run 2", "n", "{}", Identity("d3"))
        store.set_identity("run 3", "n", "{}", None)
        store.set_broken("run", "m", "killed by SIGSEGV")
    with Store(tmp_path / "s.db", read_only=True) as store:
        assert store.identity("m", "{}") == Identity("d2", {"weights": "v"})
        assert store.identity("m", "{}", "run 1") == Identity("d1", {"weights": "w"})
        assert store.identity("m", "{}", "run 3") is None
        assert store.identity("n", "{}") is None  # it could not be read when it was looked at last
        assert (store.broken("run", "m"), store.broken("run", "n")) == ("killed by SIGSEGV", None)


def test_a_missing_store_says_how_to_get_one(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="no store yet; measure first"):
        Store(tmp_path / "s.db", read_only=True)


def test_opening_waits_for_a_process_that_writes_without_a_log(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """SQLite refuses at once to change the journal of a file that somebody writes into."""
    path = tmp_path / "s.db"
    waits = []
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("begin immediate")

        def pause(_: float) -> None:
            waits.append(1)
            if len(waits) == 3:
                other.execute("rollback")

        monkeypatch.setattr("safemlrm.responses.opening.time.sleep", pause)
        with Store(path) as store:
            assert (store.count(), len(waits)) == (0, 3)


def test_a_store_has_one_lock_and_one_journal_whatever_link_leads_to_it(tmp_path: Path) -> None:
    (tmp_path / "far").mkdir()
    path, link = tmp_path / "far/s.db", tmp_path / "s.db"
    link.symlink_to(path)
    waits = []

    def refuse() -> None:
        waits.append(1)
        raise InterruptedError

    with Store(path) as store, Store(link) as other:
        store.add("m", [("p", completion("k"))], "rules", [])
        with store.lock(refuse), pytest.raises(StoreError), other.lock(refuse):
            pass
        assert waits == [1]
        assert size_of(link) == size_of(path) > path.stat().st_size


def test_another_schema_version_is_refused_and_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "s.db"
    with Store(path) as store:
        store.add("m", [("p", completion("k"))], "rules", [])
    with sqlite3.connect(path) as db:
        db.execute("update meta set value = '99' where name = 'schema_version'")
    with pytest.raises(StoreError, match=r"written by another version \(schema 99"):
        Store(path)
    with sqlite3.connect(path) as db:
        assert db.execute("select count(*) from completion").fetchone() == (1,)


def test_a_file_that_is_no_store_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "s.db"
    path.write_bytes(b"not a database at all" * 100)
    with pytest.raises(StoreError, match="could not be opened"):
        Store(path)
    assert path.read_bytes().startswith(b"not a database")
