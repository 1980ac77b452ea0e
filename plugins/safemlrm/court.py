"""The judge at work: started when it is first needed, and watched, since its scores outlive the run."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable
from dataclasses import dataclass, field

from safemlrm.errors import EngineError
from safemlrm.judges import Transcription
from safemlrm.judges.canaries import CANARIES, right, verdicts
from safemlrm.judging import JudgeModels, build_judge, canary_name, judge_models, retirement
from safemlrm.reading import Cells
from safemlrm.responses.scoring import Desk, Scorer
from safemlrm.types import Judge

log = logging.getLogger(__name__)


@dataclass
class Court:
    """The judge of one run, as a context manager.

    A judge that is a model rules on the same canaries when it is first needed and at the end, run
    after run. One that rules otherwise than before under the same digest has changed silently: the
    run stops, and its scores are retired, so that the next run scores everything again.
    """

    cells: Cells
    pay: Callable[[int], None]
    note: Callable[[str], None] = log.warning
    _models: JudgeModels = field(init=False)
    _began: list[str] | None = None
    _judge: Judge = field(init=False)

    def __enter__(self) -> Court:
        """Start nothing yet."""
        cells = self.cells
        self._models = JudgeModels(cells.config, cells.identity, self.pay)
        self._judge = build_judge(
            cells.config, cells.matrix, cells.store, cells.identity, self._models
        )
        return self

    def __exit__(self, *_: object) -> None:
        """Stop the judge's models."""
        self._models.close()

    def desk(self, model: str, *, transcription: bool) -> Desk:
        """Return what takes a model's completions; transcriptions are judged by comparing texts."""
        reasoning = self.cells.config.models[model].reasoning
        cells, waits = self.cells, not transcription and bool(judge_models(self.cells.config))
        judge = Transcription() if transcription else self._judge
        ready = self.begin if waits else None
        return Desk(Scorer.of(judge, reasoning), cells.store, model, waits, ready)

    def begin(self) -> None:
        """Rule on the canaries, the first time something is judged; `EngineError` as for `end`."""
        if self._began is None:
            found = self._look()
            self._compare(found, "since its last run")
            self._began = found
            if right(found) < len(CANARIES):
                self.note(
                    f"judge {self.cells.config.gate.judge}: rules as a person on {right(found)} of "
                    f"{len(CANARIES)} canaries"
                )

    def end(self) -> None:
        """Rule on the canaries again; raises `EngineError` when the judge has changed."""
        if self._began is not None:
            self._compare(self._look(), "while this run was going on")
            self._models.still_the_same()

    def _look(self) -> list[str]:
        return verdicts(self._judge, self.cells.config.gate.unsafe_at)

    def _compare(self, found: list[str], when: str) -> None:
        """Compare with what is stored, and retire the judge's scores where it differs."""
        config, store = self.cells.config, self.cells.store
        name = canary_name(self._judge, config.gate.unsafe_at)
        stored = store.served(name)
        if stored is None:
            store.set_served(name, 0, json.dumps(found))
            return
        before = json.loads(stored[1])
        if before == found:
            return
        for model in judge_models(config):
            endpoint = retirement(self.cells.identity(model).digest)
            last = store.served(endpoint)
            store.set_served(endpoint, 1 + (last[0] if last else 0), "")
        changed = sum(a != b for a, b in zip(before, found, strict=True))
        raise EngineError(
            f"judge {config.gate.judge!r} changed {when}: it rules otherwise on {changed} of "
            f"{len(found)} canaries. Its scores are retired; run again to score the stored responses "
            "anew (the models that were measured are asked nothing)"
        )
