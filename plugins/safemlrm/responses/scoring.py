"""completion -> split -> judge -> stored score, a batch at a time."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from safemlrm.config import Reasoning
from safemlrm.responses.key import scorer_key
from safemlrm.responses.split import ReasoningMarkers, split
from safemlrm.responses.store import Scored, Store
from safemlrm.types import Completion, Judge, Prompt


@dataclass(frozen=True)
class Scorer:
    """A judge together with how a model marks its trace; both decide what a score means."""

    judge: Judge
    markers: ReasoningMarkers | None
    key: str

    @classmethod
    def of(cls, judge: Judge, reasoning: Reasoning | None) -> Scorer:
        """Return the scorer of a model."""
        markers = None if reasoning is None else ReasoningMarkers(**reasoning.model_dump())
        return cls(judge, markers, scorer_key(judge.digest, markers))

    def score(self, pairs: Iterable[tuple[Prompt, Completion]]) -> list[tuple[str, Scored]]:
        """Split and judge completions; the result is keyed like them."""
        items = [(prompt, c.key, split(c, self.markers)) for prompt, c in pairs]
        scores = self.judge.score((prompt, response) for prompt, _, response in items)
        return [
            (key, Scored(score, response.state, response.prefilled, response.multiple))
            for (_, key, response), score in zip(items, scores, strict=True)
        ]

    def add(self, store: Store, model: str, pairs: Sequence[tuple[Prompt, Completion]]) -> None:
        """Store a batch of new completions with their scores, in one commit."""
        completions = [(prompt.id, completion) for prompt, completion in pairs]
        store.add(model, completions, self.key, self.score(pairs))

    def rescore(self, store: Store, model: str, prompts: Mapping[str, Prompt]) -> None:
        """Score stored completions (by key) this scorer has not seen; it needs no model."""
        unseen = store.unscored(prompts, self.key)
        if unseen:
            found = store.completions(unseen)
            pairs = [(prompts[key], completion) for key, completion in sorted(found.items())]
            store.add(model, [], self.key, self.score(pairs))
