"""The only writer: plan -> attack -> generate -> split -> judge -> store, in rounds."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from itertools import chain
from time import monotonic
from typing import Protocol, runtime_checkable

from safemlrm.budget import Purse
from safemlrm.canary import transcriptions
from safemlrm.config import Config
from safemlrm.confirm import DRAWS
from safemlrm.engines.workers import Workers, workers_for
from safemlrm.errors import EngineError, ModelChanged
from safemlrm.family import build_families
from safemlrm.judges import Transcription, build_judge
from safemlrm.matrix import Matrix
from safemlrm.plan import Plan, Work
from safemlrm.preflight import look_at_models, retire
from safemlrm.reading import Cells, settings_key
from safemlrm.responses.scoring import Scorer
from safemlrm.responses.store import Cost, Store
from safemlrm.rounds import Asked, attacked, batches, rounds
from safemlrm.types import Identity, Judge
from safemlrm.watch import Watch

log = logging.getLogger(__name__)


class Progress(Protocol):
    """Told how measuring goes; the terminal shows it, a notebook may ignore it."""

    def wait(self) -> None:
        """Another run measures into the same store; this one waits for it."""

    def start(self, model: str, cells: int, prompts: int) -> None:
        """A model's work begins: `prompts` over `cells`, stored ones included."""

    def advance(self, asked: int, stored: int) -> None:
        """So many more prompts were asked now, or found in the store."""

    def cut(self, reason: str) -> None:
        """The budget is spent; what was not asked stays unknown."""

    def broken(self, reason: str) -> None:
        """The model could not be measured; the rest goes on."""

    def finish(self) -> None:
        """The model's work is done."""


@runtime_checkable
class Speaking(Protocol):
    """A progress that also says what a person should know before a model is asked."""

    def note(self, text: str) -> None:
        """Show a sentence."""


def measure(
    plan: Plan, config: Config, matrix: Matrix, store: Store, uid: str, progress: Progress
) -> None:
    """Ask every model what the plan needs and the store does not have yet.

    A model that cannot be measured is recorded under the run's id, its tests are broken, and the
    others go on. Only one run at a time measures into a store; a second one waits, then finds the
    answers there.
    """
    families = build_families(config, matrix)
    watch = Watch(Cells(config, matrix, store, uid), families, plan.cases)
    purse = Purse(config.budget)
    with store.lock(progress.wait):
        note = progress.note if isinstance(progress, Speaking) else log.warning
        identities = look_at_models(plan, config, matrix, store, uid, note)
        for model, identity in identities.items():
            try:
                if isinstance(identity, EngineError):
                    _announce(progress, model, plan.of(model))
                    raise identity
                asked = chain(
                    _legibility(model, identity, plan, watch, progress),
                    _cells(model, identity, plan, watch, progress),
                )
                if config.gate.confirm:
                    asked = chain(asked, _again(model, identity, watch, progress))
                with _account(model, config, store, uid, purse):
                    _ask(model, identity, asked, config, store, progress, purse)
            except EngineError as error:
                if isinstance(error, ModelChanged) and isinstance(identity, Identity):
                    retire(model, config, store, uid, identity)
                store.set_broken(uid, model, str(error))
                progress.broken(str(error))
            else:
                progress.finish()


@contextmanager
def _account(model: str, config: Config, store: Store, uid: str, purse: Purse) -> Iterator[None]:
    """Record what asking a model cost, so that a plan can say what asking it again would."""
    requests, tokens, began = purse.requests, purse.tokens, monotonic()
    try:
        yield
    finally:
        cost = Cost(purse.requests - requests, purse.tokens - tokens, monotonic() - began)
        if cost.requests:
            store.add_cost(uid, model, settings_key(config.models[model]), cost)


def _announce(progress: Progress, who: str, work: Sequence[Work]) -> None:
    progress.start(who, len(work), sum(item.prompts for item in work))


def _legibility(
    model: str, identity: Identity, plan: Plan, watch: Watch, progress: Progress
) -> Iterator[list[Asked]]:
    """Yield the pictures a model is asked to transcribe, first of all; what they cost stands apart."""
    matrix, seed = watch.cells.matrix, watch.cells.config.gate.seed
    work = plan.canaries_of(model)
    asked = [a for item in work for a in transcriptions(item.cell, identity, matrix, seed)]
    if asked:
        _announce(progress, f"{model}, legibility", work)
        yield asked
        progress.finish()


def _cells(
    model: str, identity: Identity, plan: Plan, watch: Watch, progress: Progress
) -> Iterator[list[Asked]]:
    """Yield the prompts of a model's cells, in rounds."""
    matrix, config, work = watch.cells.matrix, watch.cells.config, plan.of(model)
    leaves = watch.leaves if config.gate.stop == "early" else None
    _announce(progress, model, work)
    batch = config.models[model].batch_size
    yield from rounds(work, identity, matrix, config.gate.seed, leaves, batch)


def _again(
    model: str, identity: Identity, watch: Watch, progress: Progress
) -> Iterator[list[Asked]]:
    """Yield the cells that noise left open once the rest is stored; what they cost stands apart."""
    matrix, seed = watch.cells.matrix, watch.cells.config.gate.seed
    cells = watch.open_cells(model)
    if not cells:
        return
    work = [Work(cell, matrix.scenarios[cell.scenario].planned) for cell in cells]
    progress.finish()
    progress.start(f"{model}, confirm", len(work), len(DRAWS) * sum(w.prompts for w in work))
    for draw in DRAWS:
        yield [a for item in work for a in attacked(item, identity, matrix, seed, draw)]


def _ask(
    model: str,
    identity: Identity,
    all_rounds: Iterable[list[Asked]],
    config: Config,
    store: Store,
    progress: Progress,
    purse: Purse,
) -> None:
    """Generate, split, judge and store what is missing, a round at a time."""
    settings = config.models[model]
    judges: dict[bool, Judge] = {False: build_judge(config), True: Transcription()}
    scorers = {kind: Scorer.of(judge, settings.reasoning) for kind, judge in judges.items()}
    with ExitStack() as stack:
        workers: Workers | None = None
        for asked in all_rounds:
            scorer = scorers[asked[0].canary]
            store.index((a.cell, a.position, a.prompt.id, a.key) for a in asked)
            missing = store.missing(a.key for a in asked)
            scorer.rescore(store, model, {a.key: a.prompt for a in asked if a.key not in missing})
            progress.advance(0, len(asked) - len(missing))
            if not missing:
                continue
            if workers is None:  # a run that finds everything in the store loads no model
                workers = stack.enter_context(workers_for(model, config, identity))
            todo = {a.key: a for a in asked if a.key in missing}
            work = batches(todo.values(), settings.batch_size)
            for completions in workers.ask(purse.limit(work)):
                scorer.add(store, model, [(todo[c.key].prompt, c) for c in completions])
                purse.pay(completions)
                progress.advance(len(completions), 0)
            if purse.withheld:
                progress.cut(purse.empty)
                break
        if workers is not None:
            workers.still_the_same()
