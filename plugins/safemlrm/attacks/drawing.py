"""Pictures that attacks draw: encoded once, and honest about text that did not fit."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from io import BytesIO
from typing import TYPE_CHECKING

from safemlrm.errors import SafemlrmError
from safemlrm.types import Image, Prompt

if TYPE_CHECKING:
    from PIL.Image import Image as Picture

# A PNG text chunk travels with the bytes, so whoever holds a prompt can tell, and no model sees it.
MARK = b"tEXtsafemlrm\x00clipped"
# Most of the time a picture takes is zlib's: level 1 halves it for a quarter more bytes.
FAST = 1
MAX_PIXELS = 50_000_000


@dataclass(frozen=True, slots=True)
class Render:
    """A drawn picture; `clipped` says that some of its text lies outside the edges."""

    image: Image
    clipped: bool = False


def clipped(prompt: Prompt) -> bool:
    """Say whether an attack drew a picture of this prompt whose text runs over its edge."""
    images = (image for turn in prompt.turns for image in turn.images)
    return any(MARK in image.data[:256] for image in images)


def as_png(picture: Picture, *, clipped: bool = False, level: int = FAST) -> Render:
    """Encode a picture, marked when text was cut off; `level` is zlib's."""
    from PIL.PngImagePlugin import PngInfo

    info = PngInfo()
    if clipped:
        info.add_text("safemlrm", "clipped")
    buffer = BytesIO()
    picture.save(buffer, format="PNG", pnginfo=info, compress_level=level)
    return Render(Image(buffer.getvalue()), clipped)


def open_picture(image: Image) -> Picture:
    """Decode a picture of a data set as RGB; `SafemlrmError` says what is wrong with it."""
    from PIL import Image as Pictures

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", Pictures.DecompressionBombWarning)
            picture = Pictures.open(BytesIO(image.data))
        if picture.width * picture.height > MAX_PIXELS:
            raise SafemlrmError(
                f"it has {picture.width} x {picture.height} pixels, more than {MAX_PIXELS:,}"
            )
        return picture.convert("RGB")
    except (OSError, SyntaxError, ValueError, Pictures.DecompressionBombError) as error:
        raise SafemlrmError(f"it is truncated or no picture ({type(error).__name__})") from None


def wrap(text: str, width: float, measure: Callable[[str], float]) -> list[str]:
    """Break a text into lines of at most `width`, between words where there is a place to break."""
    lines: list[str] = []
    for paragraph in text.splitlines() or [""]:
        line = ""
        for word in _pieces(paragraph, width, measure):
            longer = f"{line} {word}" if line else word
            if line and measure(longer) > width:
                lines.append(line)
                longer = word
            line = longer
        lines.append(line)
    return lines


def _pieces(paragraph: str, width: float, measure: Callable[[str], float]) -> Iterator[str]:
    """Yield the words, in parts where one is wider than a line."""
    for word in paragraph.split():
        part = ""
        for character in word if measure(word) > width else ():
            if part and measure(part + character) > width:
                yield part
                part = ""
            part += character
        yield part or word
