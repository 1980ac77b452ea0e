"""Encoded pictures -> PIL pictures, with broken and oversized ones refused by name."""

from __future__ import annotations

import warnings
from io import BytesIO
from typing import TYPE_CHECKING

from safemlrm.errors import EngineError
from safemlrm.types import Image, Prompt

if TYPE_CHECKING:
    from PIL.Image import Image as Picture

FORMATS = ("PNG", "JPEG", "WEBP", "BMP", "GIF", "TIFF")
MAX_PIXELS = 50_000_000


def pictures_of(prompt: Prompt, known: dict[Image, Picture] | None = None) -> list[list[Picture]]:
    """Open the pictures of each turn of a prompt; `EngineError` names one that cannot be read.

    `known` are those opened so far: prompts on one phrase show one picture, which is opened once.
    """
    known = {} if known is None else known
    opened, number = [], 0
    for turn in prompt.turns:
        row = []
        for image in turn.images:
            number += 1
            try:
                if image not in known:
                    known[image] = open_picture(image.data)
                row.append(known[image])
            except ValueError as error:
                raise EngineError(
                    f"prompt {prompt.id}: picture {number} cannot be used: {error}; "
                    "repair or remove it in the data set"
                ) from None
        opened.append(row)
    return opened


def open_picture(data: bytes) -> Picture:
    """Decode a whole picture as RGB.

    Raises `ValueError` when it is truncated, of another format, or has too many pixels to decode
    safely (a decompression bomb).
    """
    from PIL import Image, UnidentifiedImageError

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)
            picture = Image.open(BytesIO(data), formats=FORMATS)
        if picture.width * picture.height > MAX_PIXELS:
            raise ValueError(_too_large(f"{picture.width} x {picture.height}"))
        return picture.convert("RGB")
    except Image.DecompressionBombError:
        raise ValueError(_too_large("far too many")) from None
    except UnidentifiedImageError:
        raise ValueError(f"not a picture in a known format ({', '.join(FORMATS)})") from None
    except (OSError, SyntaxError, EOFError) as error:
        raise ValueError(f"truncated or broken ({error})") from None


def _too_large(pixels: str) -> str:
    return f"{pixels} pixels, more than {MAX_PIXELS:,} (a decompression bomb?)"
