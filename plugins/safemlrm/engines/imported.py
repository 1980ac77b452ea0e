"""A model whose responses were imported: what the store does not have of it stays unanswered."""

from __future__ import annotations

from collections.abc import Iterator

from safemlrm.types import Completion, Request


class ImportedEngine:
    """Answers nothing, so that a prompt the source had no response to counts as missing evidence."""

    def generate(self, requests: list[Request]) -> Iterator[Completion]:
        """Yield no completion: the model cannot be asked."""
        yield from ()
