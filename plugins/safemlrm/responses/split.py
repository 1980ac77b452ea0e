"""A completion's text -> reasoning and answer, with the state of the trace.

Nothing is guessed and nothing a user sees is dropped: every piece of the text is part of the
reasoning or of the answer, except where no marker tells the two apart (a reasoning model cut off
before any marker), and then both are None and only `full` holds the text.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

from safemlrm.types import Completion, Response, TraceState


def split_digest() -> str:
    """Return a hash of this module: part of every score's key, since a score is given to a split."""
    return sha256(Path(__file__).read_bytes()).hexdigest()[:16]


@dataclass(frozen=True, slots=True)
class ReasoningMarkers:
    """The tags around a model's trace and answer, matched exactly.

    `prefilled` says that the chat template already opened the trace, so that the text starts
    inside it. Raises ValueError for a blank tag, which would match everywhere.
    """

    open: str = "<think>"
    close: str = "</think>"
    answer_open: str | None = "<answer>"
    answer_close: str | None = "</answer>"
    prefilled: bool = False

    def __post_init__(self) -> None:
        tags = (self.open, self.close, self.answer_open, self.answer_close)
        if any(tag is not None and not tag.strip() for tag in tags):
            raise ValueError(f"Expected reasoning and answer tags that are not blank, got {tags}")


@dataclass(frozen=True, slots=True)
class _Piece:
    """A stretch of text between trace markers: part of a trace, or shown to the user."""

    text: str
    trace: bool


@dataclass(frozen=True, slots=True)
class _Scan:
    """The pieces in order; `unclosed` says that the last one is a trace without an end."""

    pieces: list[_Piece]
    unclosed: bool
    prefilled: bool


def split(completion: Completion, markers: ReasoningMarkers | None) -> Response:
    """Return the reasoning and the answer of a completion; `markers` is None for a plain model.

    The answer is all the text outside traces, in order and without answer tags: text before a
    trace, between two traces, or outside the answer tags is what the user sees, so a judge sees it.
    A trace that never closes leaves no answer, and then shown text counts with the reasoning.
    A withheld completion (finish "filter") is split like a finished one.
    """
    text = completion.text
    cut = completion.finish == "length"
    if markers is None:
        answer = text if text.strip() else ""
        return Response(text, None, answer, _state(cut, False, False, answer))
    scan = _scan(text, markers)
    traces = [piece.text for piece in scan.pieces if piece.trace]
    shown = [piece.text for piece in scan.pieces if not piece.trace]
    reasoning: str | None = _join(traces) if traces else None
    shown_answer: str | None = _untag(shown, markers)
    if scan.unclosed:
        reasoning, shown_answer = _join([piece.text for piece in scan.pieces]), None
    elif cut and not traces and not _has_answer_tag(text, markers):
        # The limit came before any marker: this may be a trace as well as an answer.
        shown_answer = None
    state = _state(cut, scan.unclosed, bool(traces), shown_answer)
    return Response(text, reasoning, shown_answer, state, scan.prefilled, len(traces) > 1)


def _state(cut: bool, unclosed: bool, traced: bool, answer: str | None) -> TraceState:
    """Return the one state that holds; being cut off outranks what the markers say."""
    if cut:
        return TraceState.TRUNCATED
    if unclosed:
        return TraceState.UNCLOSED
    if not answer:
        return TraceState.EMPTY_ANSWER
    return TraceState.COMPLETE if traced else TraceState.ABSENT


def _scan(text: str, markers: ReasoningMarkers) -> _Scan:
    """Cut the text at its trace markers.

    An open tag inside a trace is text of that trace. A close tag outside a trace ends one that
    began at the previous marker, or before the text: then the trace was prefilled.
    """
    prefilled = markers.prefilled
    # A blank text holds no trace, even where the template opened one.
    inside = prefilled and bool(text.strip())
    pieces: list[_Piece] = []
    start = 0
    if inside and text.lstrip().startswith(markers.open):
        # Some engines return the prefilled tag with the text.
        start = text.index(markers.open) + len(markers.open)
    for tag in _tags(markers.open, markers.close).finditer(text, start):
        if inside and tag.group() != markers.close:
            continue
        closes = inside or tag.group() != markers.open
        if closes and not inside and not pieces:
            prefilled = True
        pieces.append(_Piece(text[start : tag.start()], trace=closes))
        inside = not closes
        start = tag.end()
    pieces.append(_Piece(text[start:], trace=inside))
    return _Scan(pieces, inside, prefilled)


def _tags(*tags: str | None) -> re.Pattern[str]:
    """Return a pattern of the given tags, the longest first so that none hides another."""
    present = sorted({tag for tag in tags if tag}, key=len, reverse=True)
    return re.compile("|".join(map(re.escape, present)) or r"(?!)")


def _has_answer_tag(text: str, markers: ReasoningMarkers) -> bool:
    return _tags(markers.answer_open, markers.answer_close).search(text) is not None


def _untag(shown: list[str], markers: ReasoningMarkers) -> str:
    """Return the shown pieces without answer tags, inside and outside text alike, in order."""
    tags = _tags(markers.answer_open, markers.answer_close)
    return _join([part for piece in shown for part in tags.split(piece)])


def _join(pieces: list[str]) -> str:
    """Join the pieces that are not blank, a line each."""
    return "\n".join(piece.strip() for piece in pieces if piece.strip())
