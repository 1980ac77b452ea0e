"""The judge at work: started when it is first needed, and watched, since its scores outlive the run."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from statistics import median_low

from safemlrm.budget import Purse
from safemlrm.errors import ConfigError, EngineError
from safemlrm.judges import Transcription
from safemlrm.judges.canaries import CANARIES, look, right, verdicts
from safemlrm.judging import (
    JudgeModels,
    build_judge,
    canary_name,
    judge_models,
    retirement,
    same_model,
)
from safemlrm.reading import Cells, settings_key
from safemlrm.responses.scoring import TOGETHER, Desk, Scorer
from safemlrm.rounds import Asked
from safemlrm.types import Identity, Judge

log = logging.getLogger(__name__)

PARTS = 16
"""A budget of judge calls is spent in so many parts at least, so that little of it is lost."""
AGAIN = 2
"""So often a canary has to be ruled otherwise again before the judge counts as changed."""


@dataclass
class Court:
    """The judge of one run, as a context manager.

    A judge that is a model rules on the same canaries when it is first needed and at the end, run
    after run. One that rules otherwise than before under the same digest has changed silently: the
    run stops, and its scores are retired, so that the next run scores everything again. A server
    that says now this, now that has not changed: what differs is asked again before it counts.
    """

    cells: Cells
    purse: Purse
    note: Callable[[str], None] = log.warning
    _models: JudgeModels = field(init=False)
    _judge: Judge = field(init=False)
    _began: bool = False
    _ending: bool = False
    _failed: EngineError | None = None

    def __enter__(self) -> Court:
        """Start nothing yet; `ConfigError` where the judge is a model of a pair by another name."""
        cells = self.cells
        known = {model: cells.identity(model) for model in judge_models(cells.config)}
        self._refuse_kin(known)
        self._models = JudgeModels(cells.config, known.__getitem__, self._pay)
        self._judge = build_judge(
            cells.config, cells.matrix, cells.store, known.__getitem__, self._models
        )
        return self

    def __exit__(self, *_: object) -> None:
        """Stop the judge's models."""
        self._models.close()

    def desk(self, model: str, asked: Asked) -> Desk:
        """Return what takes completions such as one that is asked; only some need the judge.

        Transcriptions are judged by comparing texts, and options by which one is right.
        """
        cells = self.cells
        reasoning = cells.config.models[model].reasoning
        if asked.prompt.options:
            return Desk(cells.scorer(model, "choose"), cells.store, model)
        if asked.canary:
            return Desk(Scorer.of(Transcription(), reasoning), cells.store, model)
        begin = self.begin if judge_models(cells.config) else None
        calls = cells.config.budget.judge_calls
        together = TOGETHER if calls is None else max(1, min(TOGETHER, calls // PARTS))
        return Desk(Scorer.of(self._judge, reasoning), cells.store, model, begin, together)

    def begin(self) -> None:
        """Rule on the canaries, the first time something is judged; `EngineError` as for `end`.

        A judge that failed is not tried again for the next model. `Spent` where the budget has no
        room for this and for the canaries at the end.
        """
        if self._failed is not None:
            raise self._failed
        if self._began:
            return
        try:
            self._introduce()
        except EngineError as error:
            self._failed = error
            raise
        self._began = True

    def end(self) -> None:
        """Rule on the canaries again; raises `EngineError` when the judge has changed."""
        if self._began:
            self._ending = True
            self._compare(self._look(), "while this run was going on")
            self._models.still_the_same()

    def _introduce(self) -> None:
        before = self.purse.judge_calls
        found = self._look()
        self.purse.keep(self.purse.judge_calls - before)
        if self._stored() is None:
            self._remember(found)
        else:
            self._compare(found, "since its last run")
        agreed = right(self._verdicts(self._stored() or []))
        if agreed < len(CANARIES):
            self._say(f"rules as a person on {agreed} of {len(CANARIES)} canaries")

    def _remember(self, found: list[int | None]) -> None:
        """Keep by which harms the judge is known: of two or three looks the middle one."""
        looks = [found, self._look()]
        if self._verdicts(found) != self._verdicts(looks[1]):
            looks.append(self._look())
        middle = [
            median_low([-1 if h is None else h for h in each]) for each in zip(*looks, strict=True)
        ]
        harms = [None if harm < 0 else harm for harm in middle]
        self.cells.store.set_served(canary_name(self._judge), 0, json.dumps(harms))

    def _compare(self, found: list[int | None], when: str) -> None:
        """Compare with what is stored, and retire the judge's scores where it differs each time."""
        known = self._verdicts(self._stored() or [])
        differs = changed = _otherwise(known, self._verdicts(found))
        for _ in range(AGAIN):
            if changed:
                changed = changed & _otherwise(known, self._verdicts(self._look()))
        if changed:
            self._retire()
            raise EngineError(
                f"judge {self.cells.config.gate.judge!r} changed {when}: it rules otherwise on "
                f"{len(changed)} of {len(known)} canaries. Its scores are retired; run again to score "
                "the stored responses anew (the models that were measured are asked nothing)"
            )
        if differs:
            self._say(
                f"rules now this way, now that on {len(differs)} of {len(known)} canaries; "
                "temperature = 0.0 makes it steadier"
            )

    def _retire(self) -> None:
        store = self.cells.store
        for model in judge_models(self.cells.config):
            endpoint = retirement(self.cells.identity(model).digest)
            last = store.served(endpoint)
            store.set_served(endpoint, 1 + (last[0] if last else 0), "")

    def _refuse_kin(self, judges: Mapping[str, Identity]) -> None:
        """Raise `ConfigError` where a judge's model is one of those that this run measures."""
        cells, config = self.cells, self.cells.config
        named = {name for pair in config.pairs.values() for name in (pair.base, pair.candidate)}
        for measured in sorted(config.models.keys() & named):
            settings = settings_key(config.models[measured])
            identity = cells.store.identity(measured, settings, cells.uid)
            for name, judge in judges.items():
                if identity is not None and same_model(identity, judge):
                    raise ConfigError(
                        f"{config.file}: [models.{name}] of judge {config.gate.judge!r} is the same model "
                        f"as [models.{measured}] of a pair, which cannot judge itself; take another one"
                    )

    def _pay(self, calls: int) -> None:
        """Account for calls; those of the end were set aside and may not fail."""
        if self._ending:
            self.purse.settle(calls)
        else:
            self.purse.judge(calls)

    def _look(self) -> list[int | None]:
        return look(self._judge)

    def _stored(self) -> list[int | None] | None:
        """Return which harms the judge found when it was first asked, None before."""
        stored = self.cells.store.served(canary_name(self._judge))
        harms: list[int | None] | None = None if stored is None else json.loads(stored[1])
        return harms

    def _verdicts(self, harms: list[int | None]) -> list[str]:
        return verdicts(harms, self.cells.config.gate.unsafe_at)

    def _say(self, text: str) -> None:
        self.note(f"judge {self.cells.config.gate.judge}: {text}")


def _otherwise(known: list[str], found: list[str]) -> set[int]:
    """Return which canaries two looks rule differently."""
    return {n for n, (one, other) in enumerate(zip(known, found, strict=True)) if one != other}
