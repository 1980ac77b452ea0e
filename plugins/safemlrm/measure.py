"""The only writer: plan -> attack -> generate -> split -> judge -> store, in rounds."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack
from typing import Protocol

from safemlrm.config import Config
from safemlrm.engines.children import Children
from safemlrm.engines.identity import identity_of
from safemlrm.errors import EngineError
from safemlrm.judges import build_judge
from safemlrm.matrix import Matrix
from safemlrm.plan import Plan, Work
from safemlrm.responses.scoring import Scorer
from safemlrm.responses.store import Store
from safemlrm.rounds import batches, rounds


class Progress(Protocol):
    """Told how measuring goes; the terminal shows it, a notebook may ignore it."""

    def start(self, model: str, cells: int, prompts: int) -> None:
        """A model's work begins: `prompts` over `cells`, stored ones included."""

    def advance(self, asked: int, stored: int) -> None:
        """So many more prompts were asked now, or found in the store."""

    def broken(self, reason: str) -> None:
        """The model could not be measured; the rest goes on."""

    def finish(self) -> None:
        """The model's work is done."""


def measure(
    plan: Plan, config: Config, matrix: Matrix, store: Store, uid: str, progress: Progress
) -> None:
    """Ask every model what the plan needs and the store does not have yet.

    A model that cannot be measured is recorded under the run's id, its tests are broken, and the
    others go on. Only one run at a time measures into a store; a second one waits, then finds the
    answers there.
    """
    with store.lock():
        for model in plan.models:
            try:
                _measure_model(model, plan.of(model), config, matrix, store, progress)
            except EngineError as error:
                store.set_broken(uid, model, str(error))
                progress.broken(str(error))


def _measure_model(
    model: str,
    work: Sequence[Work],
    config: Config,
    matrix: Matrix,
    store: Store,
    progress: Progress,
) -> None:
    settings = config.models[model]
    progress.start(model, len(work), sum(item.prompts for item in work))
    identity = identity_of(model, settings, config.folder)
    store.set_identity(model, settings.model_dump_json(), identity)
    scorer = Scorer.of(build_judge(config), settings.reasoning)
    with ExitStack() as stack:
        children: Children | None = None
        for asked in rounds(work, identity, matrix, config.gate.seed):
            store.index((a.cell, a.position, a.prompt.id, a.key) for a in asked)
            missing = store.missing(a.key for a in asked)
            scorer.rescore(store, model, {a.key: a.prompt for a in asked if a.key not in missing})
            progress.advance(0, len(asked) - len(missing))
            if not missing:
                continue
            if children is None:  # a run that finds everything in the store loads no model
                children = stack.enter_context(Children(model, settings, config.folder))
            todo = {a.key: a.prompt for a in asked if a.key in missing}
            for completions in children.ask(batches(todo, settings.batch_size)):
                scorer.add(store, model, [(todo[c.key], c) for c in completions])
                progress.advance(len(completions), 0)
    progress.finish()
