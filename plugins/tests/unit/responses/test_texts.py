"""The digest of a cell's texts: read in pieces, the same in every store, and never of less than all."""

from __future__ import annotations

from hashlib import sha256
from pathlib import Path

import pytest

from safemlrm.errors import StoreError
from safemlrm.responses import texts
from safemlrm.responses.store import Row, Store
from safemlrm.responses.texts import digest_of, texts_digest
from safemlrm.types import Completion

ROWS = [Row(position, f"p-{position}", f"k{position}", "stop", 4, None) for position in range(7)]


def filled(store: Store, rows: list[Row]) -> None:
    said = [Completion(row.key, f"Text {row.position}: no.", "stop", 1, 4) for row in rows]
    store.add("m", [("p", completion) for completion in said], "rules", [])


def test_it_is_what_a_reader_of_the_record_can_compute() -> None:
    """Another version has to find the same: a change of this is a new format of the record."""
    lines = '0 "No."\n2 "\\u00e9\\n\\"9 \\ud83d\\ude00"\n'
    assert digest_of([(0, "No."), (2, 'é\n"9 😀')]) == sha256(lines.encode()).hexdigest()


def test_texts_are_read_in_pieces(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = digest_of((row.position, f"Text {row.position}: no.") for row in ROWS)
    with Store(tmp_path / "s.db") as store:
        filled(store, ROWS)
        assert texts_digest(store, ROWS) == whole
        monkeypatch.setattr(texts, "TOGETHER", 3)
        assert texts_digest(store, ROWS) == whole
        assert texts_digest(store, ROWS[:-1]) != whole


def test_a_text_that_is_not_there_has_no_digest(tmp_path: Path) -> None:
    with Store(tmp_path / "s.db") as store:
        filled(store, ROWS[:-1])
        with pytest.raises(StoreError, match="went while their texts were read"):
            texts_digest(store, ROWS)
