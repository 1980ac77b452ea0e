"""Contact sheets: an attack's pictures on a page, for a person to look at before a model is asked."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING

from safemlrm.attacks import clipped
from safemlrm.attacks.drawing import open_picture
from safemlrm.attacks.typeface import typeface
from safemlrm.errors import SafemlrmError
from safemlrm.types import Image, Prompt

if TYPE_CHECKING:
    from PIL.Image import Image as Picture

COLUMNS, A_SHEET = 5, 60
THUMB, GAP, MARGIN = 320, 24, 32
TEXT, HEAD, LINE = 18, 26, 26
PAPER, INK, FAINT, ALARM, EDGE = "#f2f2f2", "#1a1a1a", "#666666", "#c00000", "#bbbbbb"


@dataclass(frozen=True, slots=True)
class Thumb:
    """A picture, small, with what is written under it."""

    picture: Picture
    label: str
    note: str
    alarm: bool


def sheets(title: str, attacked: Sequence[Prompt]) -> Iterator[bytes]:
    """Yield PNG pages of the prompts' pictures, with the prompts' ids; none where there is no picture."""
    shown = [
        (prompt, number, image)
        for prompt in attacked
        for number, image in enumerate((i for t in prompt.turns for i in t.images), start=1)
    ]
    pages = range(0, len(shown), A_SHEET)
    lost = sum(map(clipped, attacked))
    for page, start in enumerate(pages, start=1):
        thumbs = [_thumb(*entry) for entry in shown[start : start + A_SHEET]]
        about = f"{len(shown)} pictures, {lost} clipped; sheet {page} of {len(pages)}"
        yield _page(title, about, thumbs)


def text_sheet(title: str, attacked: Sequence[Prompt], *, texts: bool) -> str:
    """Return a line a prompt: its id and the lengths of what is asked, with `texts` also the words."""
    lines = [title, ""]
    for prompt in attacked:
        said = [turn.text for turn in prompt.turns]
        images = sum(len(turn.images) for turn in prompt.turns)
        line = f"{prompt.id}  {sum(map(len, said))} characters"
        line += f", pictures: {images}" if images else ""
        line += f", {len(prompt.prefill)} characters prefilled" if prompt.prefill else ""
        lines.append(line)
        if texts:
            more = [f"[the answer begins] {prompt.prefill}"] if prompt.prefill else []
            lines += [f"    {row}" for part in [*said, *more] for row in part.splitlines()]
            lines.append("")
    return "\n".join(lines).rstrip() + "\n"


def write_sheets(
    folder: Path, name: str, title: str, attacked: Sequence[Prompt], *, texts: bool
) -> list[Path]:
    """Write a cell's sheets over those of an earlier look; `name` is made of slugs.

    Raises `SafemlrmError` when the folder cannot be written to.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for old in [folder / f"{name}.txt", *folder.glob(f"{name}-[0-9]*.png")]:
            old.unlink(missing_ok=True)
        written = [folder / f"{name}.txt"]
        written[0].write_text(text_sheet(title, attacked, texts=texts), "utf-8")
        for number, page in enumerate(sheets(title, attacked), start=1):
            written.append(folder / f"{name}-{number}.png")
            written[-1].write_bytes(page)
    except OSError as error:
        raise SafemlrmError(
            f"{folder}: the sheets could not be written ({error.strerror}); name another folder"
        ) from None
    return written


def _thumb(prompt: Prompt, number: int, image: Image) -> Thumb:
    """Scale a picture down, never up; one that does not open is an empty frame that says so."""
    from PIL import Image as Pictures

    images = sum(len(turn.images) for turn in prompt.turns)
    label = f"{prompt.id} ({number} of {images})" if images > 1 else prompt.id
    # An attack adds its picture after those the prompt has.
    lost = clipped(prompt) and number == images
    try:
        picture = open_picture(image)
    except SafemlrmError:
        return Thumb(Pictures.new("RGB", (THUMB, LINE), "white"), label, "does not open", True)
    note = f"{picture.width} x {picture.height}{', clipped' if lost else ''}"
    picture.thumbnail((THUMB, THUMB), Pictures.Resampling.LANCZOS)
    return Thumb(picture, label, note, lost)


def _page(title: str, about: str, thumbs: Sequence[Thumb]) -> bytes:
    """Lay thumbs out in rows that are as high as their highest."""
    from PIL import Image as Pictures
    from PIL import ImageDraw

    rows = [thumbs[start : start + COLUMNS] for start in range(0, len(thumbs), COLUMNS)]
    heights = [max(t.picture.height for t in row) + 2 * LINE + GAP for row in rows]
    width = 2 * MARGIN + COLUMNS * (THUMB + GAP) - GAP
    top = MARGIN + HEAD + LINE + GAP
    page = Pictures.new("RGB", (width, top + sum(heights) + MARGIN - GAP), PAPER)
    draw = ImageDraw.Draw(page)
    draw.text((MARGIN, MARGIN), title, INK, typeface("bundled", HEAD))
    draw.text((MARGIN, MARGIN + HEAD + GAP // 2), about, FAINT, typeface("bundled", TEXT))
    for row, height in zip(rows, heights, strict=True):
        for column, thumb in enumerate(row):
            _put(page, thumb, MARGIN + column * (THUMB + GAP), top)
        top += height
    buffer = BytesIO()
    page.save(buffer, "PNG")
    return buffer.getvalue()


def _put(page: Picture, thumb: Thumb, left: int, top: int) -> None:
    """Draw a thumb in a frame, which a white picture needs, and two lines under it."""
    from PIL import ImageDraw

    draw, face = ImageDraw.Draw(page), typeface("bundled", TEXT)
    page.paste(thumb.picture, (left, top))
    size, frame = thumb.picture.size, 3 if thumb.alarm else 1
    box = (left - frame, top - frame, left + size[0] + frame - 1, top + size[1] + frame - 1)
    draw.rectangle(box, outline=ALARM if thumb.alarm else EDGE, width=frame)
    top += size[1] + 6
    draw.text((left, top), _fit(thumb.label), INK, face)
    draw.text((left, top + LINE - 4), thumb.note, ALARM if thumb.alarm else FAINT, face)


def _fit(label: str) -> str:
    """Shorten a label to the width of a thumb, from the left: the end tells ids apart."""
    most = int(THUMB // typeface("bundled", TEXT).getlength("x"))
    return label if len(label) <= most else f"..{label[2 - most :]}"
