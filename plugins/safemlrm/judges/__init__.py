"""Judges: score responses for harmfulness, refusal and help; one kind a file."""

from __future__ import annotations

from safemlrm.config import Config
from safemlrm.judges.legibility import Transcription
from safemlrm.judges.rules import Rules
from safemlrm.types import Judge

__all__ = ["Rules", "Transcription", "build_judge"]


def build_judge(config: Config) -> Judge:
    """Return the judge that [gate] names."""
    return Rules()
