"""Two stores become one: nothing is lost, nothing is there twice, and what differs is not hidden."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import pytest

from safemlrm.errors import StoreError
from safemlrm.responses.merge import Merged, merge
from safemlrm.responses.store import Cost, Scored, Store
from safemlrm.types import Completion, Identity, Score, TraceState

SAFE = Scored(Score(None, 0, 0, True, None, "refusal_open"), TraceState.ABSENT)
UNSAFE = Scored(Score(None, 5, 5, False, None, "steps"), TraceState.ABSENT)
NUMBER = 1200
"""More than two chunks."""


def add(store: Store, numbers: Iterable[int], text: str = "No.", scored: Scored = SAFE) -> None:
    chosen = list(numbers)
    store.index([("cell", n, f"fr-{n}", f"k{n}") for n in chosen])
    completions = [(f"fr-{n}", Completion(f"k{n}", text, "stop", 7, 4)) for n in chosen]
    store.add("m", completions, "rules", [(f"k{n}", scored) for n in chosen])


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Two halves that share some responses."""
    with Store(tmp_path / "a.db") as store:
        add(store, range(NUMBER // 2 + 10))
        store.add_cost("run a", "m", "{}", Cost(600, 6000, 1.5))
        store.set_identity("run a", "m", "{}", Identity("d1", {"weights": "w"}))
    with Store(tmp_path / "b.db") as store:
        add(store, range(NUMBER // 2, NUMBER))
        store.add_cost("run b", "m", "{}", Cost(600, 6000, 2.5))
        store.set_identity("run b", "m", "{}", Identity("d1", {"weights": "w"}))
        store.set_broken("run b", "n", "killed by SIGSEGV")
        store.set_served("http://localhost/v1", 0, '["x"]')
    return tmp_path


def merged(folder: Path, *names: str, into: str = "a.db", keep_first: bool = False) -> list[Merged]:
    others = [Store(folder / name, read_only=True) for name in names]
    try:
        with Store(folder / into) as store:
            return merge(store, others, keep_first=keep_first)
    finally:
        for other in others:
            other.close()


def test_two_halves_are_a_whole_and_merging_again_adds_nothing(folder: Path) -> None:
    before = (folder / "b.db").read_bytes()
    [first] = merged(folder, "b.db")
    assert first.added["completion"] == NUMBER // 2 - 10
    assert (first.differing, first.notes) == ([], [])
    for _ in range(2):
        with Store(folder / "a.db", read_only=True) as store:
            rows = store.rows("cell", "rules", NUMBER)
            assert [row.position for row in rows] == list(range(NUMBER))
            assert all(row.scored == SAFE for row in rows)
            assert store.cost("m", "{}") == Cost(1200, 12000, 4.0)
            assert store.broken("run b", "n") == "killed by SIGSEGV"
            assert store.served("http://localhost/v1") == (0, '["x"]')
            assert store.identity("m", "{}", "run b") == Identity("d1", {"weights": "w"})
            assert len(store.identities()) == 2
        [again] = merged(folder, "b.db")
        assert set(again.added.values()) == {0}
    assert (folder / "b.db").read_bytes() == before


def test_into_a_new_store_the_halves_are_the_same_whole(folder: Path) -> None:
    merged(folder, "b.db", "a.db", into="new.db")
    with Store(folder / "new.db", read_only=True) as store:
        assert len(store.rows("cell", "rules", NUMBER)) == NUMBER


def test_another_text_under_the_same_key_refuses_the_whole_merge(folder: Path) -> None:
    with Store(folder / "c.db") as store:
        add(store, [3, NUMBER + 1], "Sure.", UNSAFE)
    with pytest.raises(StoreError, match=r"c.db: 1 entries .* completion k3; nothing was merged"):
        merged(folder, "b.db", "c.db")
    with Store(folder / "a.db", read_only=True) as store:
        assert store.count() == NUMBER // 2 + 10


def test_keep_first_keeps_the_text_with_its_own_score_alone(folder: Path) -> None:
    """A score of the other text, by a scorer that the first store lacks, must not come with it."""
    with Store(folder / "c.db") as store:
        add(store, [3, NUMBER + 1], "Sure.", UNSAFE)
        store.add("m", [], "another judge", [("k3", UNSAFE)])
        store.add("m", [], "another judge", [(f"k{NUMBER + 1}", UNSAFE)])
    [result] = merged(folder, "c.db", keep_first=True)
    assert result.differing == ["completion k3"]
    with Store(folder / "a.db", read_only=True) as store:
        assert store.completions(["k3"])["k3"].text == "No."
        assert store.rows("cell", "rules", 4)[3].scored == SAFE
        assert store.unscored(["k3", f"k{NUMBER + 1}"], "another judge") == {"k3"}


def test_another_score_of_the_same_text_differs_too(folder: Path) -> None:
    with Store(folder / "c.db") as store:
        add(store, [3], scored=UNSAFE)
    with pytest.raises(StoreError, match="score k3 rules"):
        merged(folder, "c.db")
    merged(folder, "c.db", keep_first=True)
    with Store(folder / "a.db", read_only=True) as store:
        assert store.rows("cell", "rules", 4)[3].scored == SAFE


def test_answers_of_two_models_behind_one_address_are_never_pooled(folder: Path) -> None:
    with Store(folder / "a.db") as store:
        store.set_served("http://localhost/v1", 0, '["y"]')
    with pytest.raises(StoreError, match=r"http://localhost/v1 .* answers of two models"):
        merged(folder, "b.db", keep_first=True)
    with Store(folder / "a.db", read_only=True) as store:
        assert store.count() == NUMBER // 2 + 10


@pytest.mark.parametrize("ours_is_later", [True, False])
def test_the_later_version_is_replayed_and_both_are_named(
    folder: Path, ours_is_later: bool
) -> None:
    for name, digest, at in (("a.db", "new" * 30, "2026-02"), ("b.db", "old" * 30, "2026-01")):
        with Store(folder / name) as store:
            store.set_identity("run", "m", "{}", Identity(digest, {"weights": digest}))
            with store.writing() as db:
                when = at if ours_is_later else {"2026-02": "2026-01", "2026-01": "2026-02"}[at]
                db.execute("update identity set at = ? where uid = 'run'", (when,))
                db.execute("update identity set at = '2025' where uid <> 'run'")
    [result] = merged(folder, "b.db")
    winner = "new" if ours_is_later else "old"
    assert len(result.notes) == 1
    assert (
        f"a replay reads the later, {winner * 4} (2026-02), alone (they differ in weights)"
        in (result.notes[0])
    )
    with Store(folder / "a.db", read_only=True) as store:
        found = store.identity("m", "{}")
        assert found is not None
        assert found.digest == winner * 30


def test_a_later_look_that_found_nothing_is_not_hidden_by_an_earlier_one(folder: Path) -> None:
    with Store(folder / "b.db") as store:
        store.set_identity("run c", "m", "{}", None)
        with store.writing() as db:
            db.execute("update identity set at = '9999' where uid = 'run c'")
    [result] = merged(folder, "b.db")
    with Store(folder / "a.db", read_only=True) as store:
        assert store.identity("m", "{}") is None
    assert "unreadable (9999) in b.db" in result.notes[0]


def test_a_file_named_twice_is_refused_under_any_name(folder: Path) -> None:
    (folder / "link.db").symlink_to(folder / "b.db")
    for names in (["b.db", "link.db"], ["a.db"]):
        with pytest.raises(StoreError, match="named twice"):
            merged(folder, *names)


def test_a_damaged_store_is_refused_before_anything_is_written(folder: Path) -> None:
    content = bytearray((folder / "b.db").read_bytes())
    content[8 * 4096 : 12 * 4096] = b"\x00" * (4 * 4096)
    (folder / "b.db").write_bytes(content)
    with pytest.raises(StoreError, match=r"b.db: the store is damaged .* nothing was merged"):
        merged(folder, "b.db")
    with Store(folder / "a.db", read_only=True) as store:
        assert store.count() == NUMBER // 2 + 10
