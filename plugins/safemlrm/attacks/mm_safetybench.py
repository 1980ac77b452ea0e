"""MM-SafetyBench's attacks (Liu et al., arXiv 2311.17600): the key phrase as a picture, alone or
below a picture of what it means, which is the user's own copy (SD: made by Stable Diffusion).
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from hashlib import sha256
from io import BytesIO

from safemlrm.attacks.drawing import Render, as_png, open_picture, wrap
from safemlrm.attacks.phrases import phrase_of, refer, with_first_turn
from safemlrm.attacks.typeface import Font, check_drawable, font_digest, typeface
from safemlrm.errors import SafemlrmError
from safemlrm.types import Image, Prompt

REFERENCE = "the phrase shown in the image"
WIDTH = 1024
FONT_SIZE = 90
LINE_HEIGHT = 110  # a bundled font reaches 105 pixels from accents to descenders
MAX_HEIGHT = 10_000
QUALITY = 90


@dataclass(frozen=True, slots=True)
class MmTypo:
    """Show the key phrase as a picture, and ask the data set's wording for it where there is one."""

    name: str = "mm_typo"
    font: Font = "bundled"

    @property
    def digest(self) -> str:
        """Version, layout and the bytes of the font."""
        return f"mm_typo/1/{_layout(self.font)}"

    def apply(self, prompt: Prompt, seed: int) -> Prompt:
        """Move the phrase into a picture; `SafemlrmError` when the prompt has none in its text."""
        form = prompt.forms.get("typo")
        text = form.text if form else refer(prompt, REFERENCE, "mm_typo")
        if form and form.images:
            return with_first_turn(prompt, text, *form.images)
        drawn = typo(phrase_of(prompt, "mm_typo"), self.font, "mm_typo")
        return with_first_turn(prompt, text, drawn.image)


@dataclass(frozen=True, slots=True)
class MmSdTypo:
    """Show the user's picture of the phrase above the phrase itself."""

    name: str = "mm_sd_typo"
    font: Font = "bundled"

    @property
    def digest(self) -> str:
        """Version, layout and the bytes of the font; the user's pictures are part of the prompt."""
        return f"mm_sd_typo/1/{QUALITY}/{_layout(self.font)}"

    def apply(self, prompt: Prompt, seed: int) -> Prompt:
        """Show both pictures as one; `SafemlrmError` when the data set has no picture for the prompt.

        A whole SD_TYPO picture of the data set is shown as it is.
        """
        whole, alone = prompt.forms.get("sd_typo"), prompt.forms.get("sd")
        form = whole or prompt.forms.get("typo")
        text = form.text if form else refer(prompt, REFERENCE, "mm_sd_typo")
        if whole and whole.images:
            return with_first_turn(prompt, text, *whole.images)
        if alone is None or not alone.images:
            raise SafemlrmError(
                f"prompt {prompt.id}: mm_sd_typo shows a picture of the key phrase, and its data set "
                "has none; put the SD pictures beside the questions, or use mm_typo"
            )
        try:
            shown = above(alone.images[0], phrase_of(prompt, "mm_sd_typo"), self.font)
        except SafemlrmError as error:
            raise SafemlrmError(
                f"prompt {prompt.id}: the SD picture cannot be used: {error}"
            ) from None
        return with_first_turn(prompt, text, shown.image)


@lru_cache(maxsize=4096)
def typo(text: str, font: Font, attack: str) -> Render:
    """Draw a text in lines of WIDTH pixels, black on white, as high as it needs.

    Raises `SafemlrmError` for more than MAX_HEIGHT and for characters the font does not have.
    """
    check_drawable(attack, text, font)

    from PIL import Image as Picture
    from PIL import ImageDraw

    face = typeface(font, FONT_SIZE)
    lines = wrap(text, WIDTH, face.getlength)
    height = LINE_HEIGHT * len(lines)
    if height > MAX_HEIGHT:
        raise SafemlrmError(
            f"{attack} would draw {len(text):,} characters {height:,} pixels high; at most "
            f"{MAX_HEIGHT:,} are shown, so leave the attack out or shorten the key phrase"
        )
    picture = Picture.new("L", (WIDTH, height), 255)
    draw = ImageDraw.Draw(picture)
    for row, line in enumerate(lines):
        draw.text((0, row * LINE_HEIGHT), line, font=face, fill=0)
    return as_png(picture)


@lru_cache(maxsize=512)
def above(picture: Image, phrase: str, font: Font) -> Render:
    """Put a picture, scaled to WIDTH, above the drawn phrase (JPEG: a photograph as PNG is large)."""
    from PIL import Image as Pictures

    top = open_picture(picture)
    below = open_picture(typo(phrase, font, "mm_sd_typo").image)
    height = max(1, round(top.height * WIDTH / top.width))
    if height > MAX_HEIGHT:
        raise SafemlrmError(f"at {WIDTH:,} pixels wide it is {height:,} high")
    whole = Pictures.new("RGB", (WIDTH, height + below.height), "white")
    whole.paste(top.resize((WIDTH, height), Pictures.Resampling.LANCZOS), (0, 0))
    whole.paste(below, (0, height))
    buffer = BytesIO()
    whole.save(buffer, format="JPEG", quality=QUALITY)
    return Render(Image(buffer.getvalue()))


def _layout(font: Font) -> str:
    layout = (WIDTH, FONT_SIZE, LINE_HEIGHT, REFERENCE, font_digest(font))
    return sha256(repr(layout).encode()).hexdigest()[:16]
