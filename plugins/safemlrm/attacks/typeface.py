"""The fonts that attacks draw with: a bundled one, and the published one where it is installed."""

from __future__ import annotations

import os
import unicodedata
from functools import lru_cache
from hashlib import sha256
from importlib.resources import files
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from safemlrm.errors import ConfigError, SafemlrmError

if TYPE_CHECKING:
    from PIL.ImageFont import FreeTypeFont

Font = Literal["bundled", "freemono"]
BUNDLED = "DejaVuSansMono-Bold.ttf"
FREEMONO = "FreeMonoBold.ttf"
PACKAGE = "fonts-freefont-ttf"
# No font has a glyph for the last code point, so this is drawn as the box for what is missing.
ABSENT = chr(0x10FFFF)
PROBE_SIZE = 20
RIGHT_TO_LEFT = frozenset({"R", "AL", "AN"})


def font_digest(font: Font) -> str:
    """Return the SHA-256 of a font's file; `ConfigError` where the file is not installed."""
    return _digest(_font_bytes(font))


@lru_cache(maxsize=16)
def typeface(font: Font, size: int) -> FreeTypeFont:
    """Return a font at a size in pixels; `ConfigError` where its file, or Pillow, is not installed."""
    try:
        from PIL import ImageFont
    except ModuleNotFoundError:
        raise ConfigError(
            'attacks that draw pictures need Pillow: pip install "pytest-safemlrm[hf]", or leave out '
            "such attacks (figstep, mm_typo, ...)"
        ) from None

    # The basic layout draws the same pixels whether or not a machine has a shaping library.
    layout = ImageFont.Layout.BASIC
    return ImageFont.truetype(BytesIO(_font_bytes(font)), size, layout_engine=layout)


def check_drawable(attack: str, text: str, font: Font) -> None:
    """Raise `SafemlrmError` for a text the font would draw as boxes or in the wrong order.

    A picture nobody can read would make a model look safe that never saw the question.
    """
    for character in sorted(set(text)):
        if character.isspace():
            continue
        shown = f"U+{ord(character):04X}"
        if unicodedata.bidirectional(character) in RIGHT_TO_LEFT:
            raise SafemlrmError(
                f"{attack} cannot draw text that is written from right to left ({shown}); "
                "leave the attack out for this scenario, or use one that keeps the text as text"
            )
        if not _has_glyph(font, character):
            raise SafemlrmError(
                f"{attack} cannot draw {shown}: the {font} font has no such character; "
                "leave the attack out for this scenario, or use one that keeps the text as text"
            )


@lru_cache(maxsize=4096)
def _has_glyph(font: Font, character: str) -> bool:
    if unicodedata.category(character) in ("Cs", "Cc", "Cn"):
        return False
    return character == ABSENT or _mask(font, character) != _mask(font, ABSENT)


def _mask(font: Font, character: str) -> tuple[tuple[int, int], bytes]:
    mask = typeface(font, PROBE_SIZE).getmask(character)
    return mask.size, bytes(mask)


def _font_bytes(font: Font) -> bytes:
    if font == "bundled":
        return _read(Path(str(files("safemlrm.attacks"))) / "fonts" / BUNDLED)
    folders = _font_folders()
    for folder in folders:
        for found in (folder / "truetype/freefont" / FREEMONO, folder / FREEMONO):
            if found.is_file():
                return _read(found)
    raise ConfigError(
        f'font = "freemono" needs {FREEMONO}, which is not below {folders[0]} or {folders[-1]}; '
        f'apt-get install {PACKAGE}, or use font = "bundled"'
    )


def _font_folders() -> list[Path]:
    """Return where a desktop looks for fonts (XDG base directories), the user's own first."""
    own = os.environ.get("XDG_DATA_HOME") or str(Path.home() / ".local/share")
    shared = os.environ.get("XDG_DATA_DIRS") or "/usr/local/share:/usr/share"
    return [Path(folder) / "fonts" for folder in [own, *shared.split(os.pathsep)] if folder]


@lru_cache(maxsize=4)
def _digest(data: bytes) -> str:
    """Hash a font once: an attack's digest is part of the key of every response."""
    return sha256(data).hexdigest()


@lru_cache(maxsize=4)
def _read(file: Path) -> bytes:
    return file.read_bytes()
