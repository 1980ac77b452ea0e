"""Whatever a data set says: ids are short slugs that tell rows apart, and no path leaves its folder."""

from __future__ import annotations

import re
from contextlib import suppress
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from safemlrm.errors import ConfigError
from safemlrm.prompts.folder import DataFolder
from safemlrm.prompts.rows import Row, prompt_id

SLUG = re.compile(r"[A-Za-z0-9_-]{1,24}(\.[A-Za-z0-9_-]{1,24})*")
RAW = st.text(st.characters(codec=None), max_size=60)
PARTS = st.lists(st.sampled_from(["..", ".", "/", "a", "data", "\\", "\0", "~", "C:", "", " "]))


@given(st.lists(RAW, min_size=1, max_size=4))
@example(["own", "fraud", "../../etc/passwd"])
@example(["own", "fraud", "\ud800"])
@example(["own", "fraud", "05\n"])
def test_an_id_is_a_slug(parts: list[str]) -> None:
    assert SLUG.fullmatch(prompt_id(*parts))


@given(RAW, RAW)
@example("a b", "a_b")
@example("a.b", "a b")
def test_different_rows_have_different_ids(one: str, other: str) -> None:
    assert (prompt_id("own", "x", one) == prompt_id("own", "x", other)) == (one == other)


@given(st.tuples(RAW, RAW), st.tuples(RAW, RAW))
@example(("a", "b.c"), ("a.b", "c"))
def test_different_data_sets_have_different_ids(
    one: tuple[str, str], other: tuple[str, str]
) -> None:
    assert (prompt_id(*one) == prompt_id(*other)) == (one == other)


@given(PARTS.map("".join) | PARTS.map("/".join) | RAW)
@example("../secret")
@example("/etc/passwd")
@example("link/secret")
@example("loop/x")
@example("a/../../secret")
@example("\ud800")
def test_what_is_read_lies_in_the_folder(name: str) -> None:
    with TemporaryDirectory() as place:
        root = Path(place).resolve() / "data"
        root.mkdir()
        (root / "link").symlink_to(root.parent)
        (root / "loop").symlink_to(root / "loop")
        (root.parent / "secret").write_text("secret")
        folder = DataFolder.at(root)
        with suppress(ConfigError):
            assert folder.inside(name, "row 1").resolve().is_relative_to(root)


@given(RAW)
def test_a_text_is_kept_or_refused_without_being_shown(text: str) -> None:
    row = Row("my.csv, row 1", {"column": text})
    if text.strip() and not any("\ud800" <= character <= "\udfff" for character in text):
        assert row.text("column") == text
        return
    with pytest.raises(ConfigError) as caught:
        row.text("column")
    assert len(text) < 8 or text not in str(caught.value)
