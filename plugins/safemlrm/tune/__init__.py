"""Runs of a known-good model -> limits for it, each with its reason (pure)."""

from safemlrm.tune.block import block
from safemlrm.tune.history import (
    FORMAT_VERSION,
    History,
    Rate,
    Run,
    Terms,
    histories,
    read_run,
    terms_of,
)
from safemlrm.tune.suggest import Build, Suggestion, Tuned, suggest
from safemlrm.tune.table import build_lines, note_lines, table_lines

__all__ = [
    "FORMAT_VERSION",
    "Build",
    "History",
    "Rate",
    "Run",
    "Suggestion",
    "Terms",
    "Tuned",
    "block",
    "build_lines",
    "histories",
    "note_lines",
    "read_run",
    "suggest",
    "table_lines",
    "terms_of",
]
