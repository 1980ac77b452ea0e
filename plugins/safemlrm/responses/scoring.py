"""completion -> split -> judge -> stored score, a batch at a time."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from threading import Thread

from safemlrm.config import Reasoning
from safemlrm.errors import EngineError
from safemlrm.responses.key import scorer_key
from safemlrm.responses.split import ReasoningMarkers, split
from safemlrm.responses.store import Scored, Store
from safemlrm.types import Completion, Judge, Prompt, Score

log = logging.getLogger(__name__)

WITHHELD = Score(None, None, None, path="filtered")
TOGETHER = 256
"""Responses that a judge is handed at once: enough to fill its batches, little enough to lose."""
FEW = 32
"""So many are enough for a judge that has nothing else to do."""
Pairs = Sequence[tuple[Prompt, Completion]]
Judged = list[tuple[str, Scored]]


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

    def score(self, pairs: Iterable[tuple[Prompt, Completion]]) -> Judged:
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

    Rules judge at once, in the same commit. A judge that asks a model is handed up to `together` at a
    time, after they were committed, and rules on them in a thread while the next ones come: neither
    model waits for the other, nor is what one was asked lost with the other. Only the caller's thread
    touches the store. `begin` is called before such a judge is asked the first time, None means rules.
    """

    scorer: Scorer
    store: Store
    model: str
    begin: Callable[[], None] | None = None
    together: int = TOGETHER
    _waiting: list[tuple[Prompt, Completion]] = field(default_factory=list)
    _judging: Future[Judged] | None = None

    def open(self) -> None:
        """See that the judge is there and what it was, before anything is asked on its account."""
        if self.begin is not None:
            self.begin()

    def take(self, pairs: Pairs) -> None:
        """Store a batch and have it judged, or the ones before it as well once they are many."""
        completions = [(prompt.id, completion) for prompt, completion in pairs]
        scores = [] if self.begin else self.scorer.score(pairs)
        self.store.add(self.model, completions, self.scorer.key, scores)
        if self.begin:
            self._waiting += pairs
            self._hand_over(self.together)
            if self._idle:
                self._hand_over(min(FEW, self.together))

    def clear(self) -> None:
        """Have judged what still waits, and store every verdict."""
        self._hand_over(1)
        self._collect()

    def settle(self) -> None:
        """Store what is being judged when something else went wrong; what waits stays unscored."""
        try:
            self._collect()
        except EngineError as error:
            log.warning("%s: the judge failed as well: %s", self.model, error)

    def rescore(self, prompts: Mapping[str, Prompt]) -> None:
        """Judge stored completions (by key) that this judge has not seen; no model is asked for them."""
        unseen = sorted(self.store.unscored(prompts, self.scorer.key))
        for start in range(0, len(unseen), self.together):
            found = self.store.completions(unseen[start : start + self.together])
            pairs = [(prompts[key], found[key]) for key in sorted(found)]
            if self.begin:
                self._waiting += pairs
                self._hand_over(self.together)
            else:
                self.store.add(self.model, [], self.scorer.key, self.scorer.score(pairs))

    def _hand_over(self, least: int) -> None:
        """Give the judge what waits, `together` at a time, as long as it is `least` or more."""
        while len(self._waiting) >= least:
            self._collect()
            self.open()
            part, self._waiting = self._waiting[: self.together], self._waiting[self.together :]
            self._judging = _aside(self.scorer, part)

    def _collect(self) -> None:
        """Wait for the judge and store its verdicts; raises what it raised."""
        judging, self._judging = self._judging, None
        if judging is not None:
            self.store.add(self.model, [], self.scorer.key, judging.result())

    @property
    def _idle(self) -> bool:
        return self._judging is None or self._judging.done()


def _aside(scorer: Scorer, pairs: Pairs) -> Future[Judged]:
    """Score in a thread, which nobody waits for when the run is interrupted."""
    judged: Future[Judged] = Future()

    def judge() -> None:
        try:
            judged.set_result(scorer.score(pairs))
        except BaseException as error:  # raised where the verdicts are collected
            judged.set_exception(error)

    Thread(target=judge, name="safemlrm-judge", daemon=True).start()
    return judged
