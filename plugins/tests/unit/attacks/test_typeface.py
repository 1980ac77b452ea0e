"""A font that is not installed, and text it cannot draw, are said in one line."""

from __future__ import annotations

from hashlib import sha256
from pathlib import Path

import pytest

from safemlrm.attacks.typeface import check_drawable, font_digest, typeface
from safemlrm.errors import ConfigError, SafemlrmError


def test_the_published_font_is_found_below_the_users_own_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "fonts").mkdir()
    (tmp_path / "fonts/FreeMonoBold.ttf").write_bytes(b"a font")
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))
    assert font_digest("freemono") == sha256(b"a font").hexdigest()


def test_a_missing_font_says_how_to_get_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))
    monkeypatch.setenv("XDG_DATA_DIRS", str(tmp_path / "shared"))
    with pytest.raises(ConfigError) as caught:
        font_digest("freemono")
    assert str(caught.value) == (
        f'font = "freemono" needs FreeMonoBold.ttf, which is not below {tmp_path}/fonts or '
        f'{tmp_path}/shared/fonts; apt-get install fonts-freefont-ttf, or use font = "bundled"'
    )


def test_sizes_are_fonts_of_their_own() -> None:
    assert typeface("bundled", 40).size == 40
    assert typeface("bundled", 40) is typeface("bundled", 40)
    assert typeface("bundled", 41) is not typeface("bundled", 40)


@pytest.mark.parametrize("text", ["A fake charity!", "crème brûlée", "Приют", "naïve\n\tlines", ""])
def test_what_the_font_has_is_drawn(text: str) -> None:
    check_drawable("figstep", text, "bundled")


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("纸船", "cannot draw U+7EB8: the bundled font has no such character"),
        ("a \U0001f6a2 boat", "cannot draw U+1F6A2: the bundled font has no such character"),
        ("a\x00b", "cannot draw U+0000: the bundled font"),
        ("a\ud800b", "cannot draw U+D800: the bundled font"),
        ("\u0642\u0627\u0631\u0628", "written from right to left (U+0627)"),
        ("\u05e1\u05d9\u05e8\u05d4", "written from right to left (U+05D4)"),
    ],
    ids=["chinese", "emoji", "control", "surrogate", "arabic", "hebrew"],
)
def test_what_it_lacks_is_refused_without_showing_the_text(text: str, reason: str) -> None:
    with pytest.raises(SafemlrmError) as caught:
        check_drawable("figstep", text, "bundled")
    assert str(caught.value).startswith("figstep cannot draw ")
    assert reason in str(caught.value)
    assert "\n" not in str(caught.value)
