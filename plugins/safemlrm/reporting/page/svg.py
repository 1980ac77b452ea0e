"""matplotlib's SVG made fit for the page: its policy forbids inline styles, and colours follow the theme."""

from __future__ import annotations

import re
from collections.abc import Mapping
from io import StringIO
from typing import TYPE_CHECKING, Any

from markupsafe import Markup, escape

if TYPE_CHECKING:
    from matplotlib.figure import Figure

INK, MUTED, GRID, SURFACE = "#010101", "#020202", "#030303", "#040404"
BASE, CANDIDATE, LIMIT = "#050505", "#060606", "#070707"
VARIABLES = {
    INK: "--ink",
    MUTED: "--muted",
    GRID: "--line",
    SURFACE: "--surface",
    BASE: "--base",
    CANDIDATE: "--candidate",
    LIMIT: "--limit",
}
"""Colours no chart means as they are: each stands for a variable of the style sheet."""
# Text is left to the browser; drawing without a seed would name clip paths anew each time.
SETTINGS: Mapping[Any, object] = {"svg.fonttype": "none", "svg.hashsalt": "safemlrm"}
PROLOGUE = re.compile(r"^.*?(?=<svg)", re.DOTALL)
UNUSED = re.compile(
    r"<metadata>.*?</metadata>|<defs>\s*<style[^>]*>.*?</style>\s*</defs>", re.DOTALL
)
STYLE = re.compile(r' style="([^"]*)"')
FONT = re.compile(r"(?:([\d.]+)px)")
OPENING = re.compile(r"<svg [^>]*?viewBox=\"([^\"]*)\"[^>]*>", re.DOTALL)
IDS = re.compile(r'( id="|url\(#|xlink:href="#)')


def drawing(figure: Figure, name: str, title: str, description: str) -> Markup:
    """Return a figure as inline SVG; `name` keeps its ids apart from those of other charts."""
    import matplotlib
    from matplotlib.backends.backend_svg import FigureCanvasSVG

    buffer = StringIO()
    with matplotlib.rc_context(dict(SETTINGS)):
        canvas = FigureCanvasSVG(figure)
        canvas.print_svg(buffer, metadata={"Date": None})  # type: ignore[no-untyped-call]  # matplotlib
    text = UNUSED.sub("", PROLOGUE.sub("", buffer.getvalue()))
    text = IDS.sub(rf"\g<1>{name}-", STYLE.sub(_attributes, text))
    head = (
        f'<svg viewBox="\\1" role="img" aria-labelledby="{name}-t {name}-d">'
        f'<title id="{name}-t">{escape(title)}</title><desc id="{name}-d">{escape(description)}</desc>'
    )
    # The replacement is a template of its own, in which a backslash would mean something.
    return Markup(OPENING.sub(lambda found: head.replace("\\1", found[1]), text, count=1))


def _attributes(style: re.Match[str]) -> str:
    """Write declarations as presentation attributes, which no content policy counts as style."""
    parts = []
    for declaration in style[1].split(";"):
        key, _, value = declaration.strip().partition(": ")
        if key == "font":
            size = FONT.search(value)
            parts.append(f' font-size="{size[1] if size else 10}"')
        elif key and value:
            parts.append(f' {key}="{_coloured(value)}"')
    return "".join(parts)


def _coloured(value: str) -> str:
    return f"var({VARIABLES[value]})" if value in VARIABLES else value
