"""Pictures: whole ones are decoded, others are refused by the prompt's id."""

from __future__ import annotations

import struct
import zlib
from io import BytesIO

import pytest
from PIL import Image as Pillow

from safemlrm.engines.images import open_picture, pictures_of
from safemlrm.errors import EngineError
from safemlrm.types import Image, Prompt, Turn


def encoded(kind: str = "PNG", mode: str = "RGB") -> bytes:
    """Return an encoded picture."""
    buffer = BytesIO()
    Pillow.effect_noise((64, 48), 90).convert(mode).save(buffer, format=kind)
    return buffer.getvalue()


def bomb(width: int, height: int) -> bytes:
    """Return a PNG of a few bytes that claims a size."""

    def chunk(name: bytes, data: bytes) -> bytes:
        crc = struct.pack(">I", zlib.crc32(name + data))
        return struct.pack(">I", len(data)) + name + data + crc

    header = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    body = chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(b"")) + chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + body


@pytest.mark.parametrize(
    ("kind", "mode"),
    [("PNG", "RGBA"), ("PNG", "L"), ("JPEG", "RGB"), ("WEBP", "RGB"), ("GIF", "P")],
)
def test_pictures_become_rgb(kind: str, mode: str) -> None:
    picture = open_picture(encoded(kind, mode))
    assert (picture.mode, picture.size) == ("RGB", (64, 48))


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (encoded()[:200], "truncated or broken"),
        (encoded("JPEG")[:400], "truncated or broken"),
        (b"", "not a picture"),
        (b"%!PS-Adobe-3.0 EPSF-3.0", "not a picture"),
        (bomb(8_000, 8_000), "8000 x 8000 pixels, more than 50,000,000"),
        (bomb(11_000, 11_000), "decompression bomb"),
        (bomb(60_000, 60_000), "decompression bomb"),
    ],
    ids=["png", "jpeg", "empty", "eps", "large", "warned", "bomb"],
)
def test_others_are_refused_by_the_prompts_id(data: bytes, reason: str) -> None:
    turn = Turn("What is this?", (Image(encoded()), Image(data)))
    with pytest.raises(EngineError) as caught:
        pictures_of(Prompt("ia-007", "fraud", (turn,), "x"))
    assert str(caught.value).startswith("prompt ia-007: picture 2 cannot be used: ")
    assert reason in str(caught.value)


def test_pictures_stay_with_their_turn() -> None:
    turns = (Turn("One"), Turn("Two", (Image(encoded()), Image(encoded("JPEG")))))
    assert [len(row) for row in pictures_of(Prompt("p", "fraud", turns, "x"))] == [0, 2]


def test_what_several_prompts_show_is_opened_once() -> None:
    known: dict[Image, Pillow.Image] = {}
    prompts = [Prompt(f"p-{i}", "fraud", (Turn("?", (Image(encoded()),)),), "x") for i in range(2)]
    same = Prompt("p-2", "fraud", prompts[0].turns, "x")
    first, other, again = (pictures_of(p, known)[0][0] for p in (*prompts, same))
    assert again is first
    assert other is not first
