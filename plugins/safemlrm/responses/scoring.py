"""completion -> split -> judge -> stored score, a batch at a time."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from safemlrm.config import Reasoning
from safemlrm.responses.key import scorer_key
from safemlrm.responses.split import ReasoningMarkers, split
from safemlrm.responses.store import Scored, Store
from safemlrm.types import Completion, Judge, Prompt, Score

WITHHELD = Score(None, None, None, path="filtered")
TOGETHER = 256
"""Responses that a judge is handed at once: enough to fill its batches, little enough to lose."""


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
        items = [(prompt, c, split(c, self.markers)) for prompt, c in pairs]
        judged = [(prompt, r) for prompt, c, r in items if c.finish != "filter"]
        scores = self.judge.score(judged)
        return [
            (c.key, Scored(self._given(c, scores), r.state, r.prefilled, r.multiple))
            for _, c, r in items
        ]

    def _given(self, completion: Completion, scores: Iterator[Score]) -> Score:
        """Return the next score; what a provider withheld is no response of the model's, so it has none."""
        return WITHHELD if completion.finish == "filter" else next(scores)


@dataclass
class Desk:
    """Takes a model's new completions as they come, stores them, and has them judged.

    Rules judge at once, in the same commit. A judge that asks a model is handed many at a time, after
    they were committed: what a model was asked must not wait for a judge, nor be lost with it.
    `ready` is called before the first is.
    """

    scorer: Scorer
    store: Store
    model: str
    waits: bool = False
    ready: Callable[[], None] | None = None
    _waiting: list[tuple[Prompt, Completion]] = field(default_factory=list)

    def take(self, pairs: Sequence[tuple[Prompt, Completion]]) -> None:
        """Store a batch; judge it, or the ones before it as well once they are many."""
        completions = [(prompt.id, completion) for prompt, completion in pairs]
        scores = [] if self.waits else self.scorer.score(pairs)
        self.store.add(self.model, completions, self.scorer.key, scores)
        if self.waits:
            self._waiting += pairs
        if len(self._waiting) >= TOGETHER:
            self.clear()

    def clear(self) -> None:
        """Judge what still waits."""
        if self._waiting:
            self._judge(self._waiting)
            self._waiting.clear()

    def rescore(self, prompts: Mapping[str, Prompt]) -> None:
        """Judge stored completions (by key) that this judge has not seen; no model is asked for them."""
        unseen = sorted(self.store.unscored(prompts, self.scorer.key))
        for start in range(0, len(unseen), TOGETHER):
            found = self.store.completions(unseen[start : start + TOGETHER])
            self._judge([(prompts[key], found[key]) for key in sorted(found)])

    def _judge(self, pairs: Sequence[tuple[Prompt, Completion]]) -> None:
        if self.ready is not None:
            self.ready()
        self.store.add(self.model, [], self.scorer.key, self.scorer.score(pairs))
