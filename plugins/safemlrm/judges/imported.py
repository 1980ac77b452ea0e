"""Verdicts that came with imported responses; whoever gave them cannot be asked again."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from safemlrm.types import Prompt, Response, Score

UNSCORED = Score(None, None, None, path="not imported")


@dataclass(frozen=True, slots=True)
class Imported:
    """Stands for the judge of a source; its scores lie in the store under this digest."""

    name: str

    @property
    def digest(self) -> str:
        """Tells the judge of one source from that of another, and from every judge here."""
        return f"imported/{self.name}/1"

    def score(self, items: Iterable[tuple[Prompt, Response]]) -> Iterator[Score]:
        """Leave unscored what came without a score."""
        return (UNSCORED for _ in items)
