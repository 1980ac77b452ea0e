"""Lines that fit and lose nothing, and pictures that say when text was cut off."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image as Picture

from safemlrm.attacks import clipped
from safemlrm.attacks.drawing import as_png, open_picture, wrap
from safemlrm.errors import SafemlrmError
from safemlrm.types import Image, Prompt, Turn


@given(st.text("ab \n", max_size=80), st.integers(1, 12))
def test_every_line_fits_and_no_character_is_lost(text: str, width: int) -> None:
    lines = wrap(text, width, len)
    assert all(len(line) <= width for line in lines)
    assert "".join("".join(lines).split()) == "".join(text.split())


def test_words_stay_whole_where_they_fit() -> None:
    assert wrap("a paper boat\n\non a lake", 7, len) == ["a paper", "boat", "", "on a", "lake"]
    assert wrap("boathouse on", 4, len) == ["boat", "hous", "e on"]
    assert wrap("", 4, len) == [""]


@pytest.mark.parametrize("cut", [False, True])
def test_a_picture_says_that_its_text_was_cut_off(cut: bool) -> None:
    render = as_png(Picture.new("L", (8, 8), 255), clipped=cut)
    prompt = Prompt("p", "fraud", (Turn("What?"), Turn("And?", (render.image,))), "boat")
    assert (render.clipped, clipped(prompt)) == (cut, cut)
    assert open_picture(render.image).mode == "RGB"


def test_a_picture_of_too_many_pixels_is_not_decoded() -> None:
    large = as_png(Picture.new("1", (8000, 8000)))
    with pytest.raises(SafemlrmError, match=r"8000 x 8000 pixels, more than 50,000,000"):
        open_picture(large.image)


def test_what_is_no_picture_is_said_so() -> None:
    with pytest.raises(SafemlrmError, match="truncated or no picture"):
        open_picture(Image(b"text"))
