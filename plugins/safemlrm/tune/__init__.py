"""Runs of a known-good model -> limits for it, each with its reason (pure)."""

from safemlrm.tune.block import block, read_back
from safemlrm.tune.history import (
    SUMMARY_FORMAT,
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
    "SUMMARY_FORMAT",
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
    "read_back",
    "read_run",
    "suggest",
    "table_lines",
    "terms_of",
]
