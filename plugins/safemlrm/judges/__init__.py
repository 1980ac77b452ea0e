"""Judges: score responses for harmfulness, refusal and help; one kind a file."""

from __future__ import annotations

from safemlrm.judges.choice import Choosing
from safemlrm.judges.legibility import Transcription
from safemlrm.judges.rules import Rules

__all__ = ["Choosing", "Rules", "Transcription"]
