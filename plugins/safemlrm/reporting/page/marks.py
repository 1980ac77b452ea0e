"""A verdict as a shape, a word and a colour: each says it alone."""

from __future__ import annotations

from dataclasses import dataclass

from safemlrm.reporting.record import Record
from safemlrm.types import Reason, Verdict


@dataclass(frozen=True, slots=True)
class Mark:
    """How a verdict looks; `kind` is its class in the style sheet."""

    kind: str
    glyph: str
    word: str


MARKS = {
    (Verdict.FAIL, Reason.NONE): Mark("fail", "✕", "FAIL"),
    (Verdict.INCONCLUSIVE, Reason.MISSING): Mark("missing", "!", "missing"),
    (Verdict.INCONCLUSIVE, Reason.NOISE): Mark("noise", "?", "noise"),
    (Verdict.UNGATEABLE, Reason.NONE): Mark("ungateable", "∅", "ungateable"),
    (Verdict.PASS, Reason.NONE): Mark("pass", "✓", "pass"),
    (Verdict.NOT_APPLICABLE, Reason.NONE): Mark("none", "·", "not applicable"),
}
UNLIMITED = Mark("none", "·", "no limit")
NOT_RUN = Mark("none", "-", "not run")
NOT_CONFIGURED = Mark("none", "", "not asked")
"""A pair is not asked every scenario under every attack."""


def mark_of(record: Record) -> Mark:
    """Return how a decision looks."""
    return MARKS[record.verdict, record.reason]


LEGEND = tuple(
    (mark, meaning)
    for mark, meaning in zip(
        (*MARKS.values(), NOT_RUN),
        (
            "a limit is exceeded beyond noise",
            "evidence is missing: it counts as not passed",
            "above the limit, but not beyond noise",
            "no result of so few prompts could fail",
            "within the limit",
            "the metric says nothing here",
            "configured, but not decided in this run",
        ),
        strict=True,
    )
)
"""Every mark with what it means; the heat map's key."""
