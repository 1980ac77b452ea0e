"""The only writer: plan -> attack -> generate -> split -> judge -> store, in rounds."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from itertools import chain
from time import monotonic
from typing import Protocol, runtime_checkable

from safemlrm.budget import Purse, Spent
from safemlrm.canary import transcriptions
from safemlrm.config import Config
from safemlrm.court import Court
from safemlrm.draws import FRESH
from safemlrm.engines.workers import Workers, workers_for
from safemlrm.errors import EngineError, ModelChanged
from safemlrm.family import build_families
from safemlrm.matrix import Matrix
from safemlrm.plan import Plan, Work
from safemlrm.preflight import look_at_models, retire
from safemlrm.reading import Cells, settings_key
from safemlrm.responses.store import Cost, Store
from safemlrm.rounds import Asked, attacked, batches, by_desk, rounds
from safemlrm.types import Identity
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


@dataclass(frozen=True)
class Run:
    """One measuring: what is asked, where it is kept, and what it may cost."""

    plan: Plan
    watch: Watch
    uid: str
    progress: Progress
    purse: Purse
    court: Court

    @property
    def config(self) -> Config:
        """The configuration."""
        return self.watch.cells.config

    @property
    def matrix(self) -> Matrix:
        """Prompts and attacks."""
        return self.watch.cells.matrix

    @property
    def store(self) -> Store:
        """Where everything is kept."""
        return self.watch.cells.store


def measure(
    plan: Plan, config: Config, matrix: Matrix, store: Store, uid: str, progress: Progress
) -> None:
    """Ask every model what the plan needs and the store does not have yet.

    A model that cannot be measured is recorded under the run's id, its tests are broken, and the
    others go on. Only one run at a time measures into a store; a second one waits, then finds the
    answers there.
    """
    cells = Cells(config, matrix, store, uid)
    watch = Watch(cells, build_families(config, matrix), plan.cases)
    purse = Purse(config.budget)
    with store.lock(progress.wait):
        note = progress.note if isinstance(progress, Speaking) else log.warning
        identities = look_at_models(plan, config, matrix, store, uid, note)
        with Court(cells, purse, note) as court:
            run = Run(plan, watch, uid, progress, purse, court)
            for model, identity in identities.items():
                _measure(model, identity, run)
            _adjourn(run)


def _measure(model: str, identity: Identity | EngineError, run: Run) -> None:
    """Ask one model everything; what goes wrong with it breaks it alone."""
    run.store.forget_broken(run.uid, model)  # xdist lets a person name a run, and do so twice
    try:
        if isinstance(identity, EngineError):
            _announce(run.progress, model, run.plan.of(model))
            raise identity
        asked = chain(_legibility(model, identity, run), _cells(model, identity, run))
        if run.config.gate.confirm:
            asked = chain(asked, _again(model, identity, run))
        with _account(model, run):
            _ask(model, identity, asked, run)
    except EngineError as error:
        if isinstance(error, ModelChanged):
            retire(error.model, run.config, run.store, run.uid)
        run.store.set_broken(run.uid, model, str(error))
        run.progress.broken(str(error))
    else:
        run.progress.finish()


def _adjourn(run: Run) -> None:
    """Look once more at the judge: had it changed, nothing it said in this run could be compared."""
    try:
        run.court.end()
    except EngineError as error:
        if isinstance(error, ModelChanged):
            retire(error.model, run.config, run.store, run.uid)
        for model in run.plan.models:
            run.store.set_broken(run.uid, model, str(error))
        run.progress.broken(str(error))


@contextmanager
def _account(model: str, run: Run) -> Iterator[None]:
    """Record what asking a model cost, so that a plan can say what asking it again would."""
    purse = run.purse
    requests, tokens, began = purse.requests, purse.tokens, monotonic()
    try:
        yield
    finally:
        cost = Cost(purse.requests - requests, purse.tokens - tokens, monotonic() - began)
        if cost.requests:
            run.store.add_cost(run.uid, model, settings_key(run.config.models[model]), cost)


def _announce(progress: Progress, who: str, work: Sequence[Work]) -> None:
    progress.start(who, len(work), sum(item.total for item in work))


def _legibility(model: str, identity: Identity, run: Run) -> Iterator[list[Asked]]:
    """Yield the pictures a model is asked to transcribe, first of all; what they cost stands apart."""
    matrix, seed = run.matrix, run.config.gate.seed
    work = run.plan.canaries_of(model)
    asked = [a for item in work for a in transcriptions(item.cell, identity, matrix, seed)]
    if asked:
        _announce(run.progress, f"{model}, legibility", work)
        yield asked
        run.progress.finish()


def _cells(model: str, identity: Identity, run: Run) -> Iterator[list[Asked]]:
    """Yield the prompts of a model's cells, in rounds."""
    config, work = run.config, run.plan.of(model)
    leaves = run.watch.leaves if config.gate.stop == "early" else None
    _announce(run.progress, model, work)
    batch = config.models[model].batch_size
    for asked in rounds(work, identity, run.matrix, config.gate.seed, leaves, batch):
        yield from by_desk(asked)


def _again(model: str, identity: Identity, run: Run) -> Iterator[list[Asked]]:
    """Yield the cells that noise left open once the rest is stored; what they cost stands apart."""
    matrix, seed = run.matrix, run.config.gate.seed
    cells = run.watch.open_cells(model)
    if not cells:
        return
    work = [Work(cell, matrix.scenarios[cell.scenario].planned) for cell in cells]
    run.progress.finish()
    run.progress.start(f"{model}, confirm", len(work), len(FRESH) * sum(w.prompts for w in work))
    for draw in FRESH:
        yield from by_desk(a for item in work for a in attacked(item, identity, matrix, seed, draw))


def _ask(model: str, identity: Identity, all_rounds: Iterable[list[Asked]], run: Run) -> None:
    """Generate, split, judge and store what is missing, a round at a time."""
    settings, store, purse = run.config.models[model], run.store, run.purse
    with ExitStack() as stack:
        workers: Workers | None = None
        for asked in all_rounds:
            desk = run.court.desk(model, asked[0])
            store.index((a.cell, a.position, a.prompt.id, a.key) for a in asked)
            missing = store.missing(a.key for a in asked)
            try:
                if missing:  # with everything in the store no model is loaded
                    workers = workers or stack.enter_context(
                        workers_for(model, run.config, identity)
                    )
                    desk.open()
                desk.rescore({a.key: a.prompt for a in asked if a.key not in missing})
                run.progress.advance(0, len(asked) - len(missing))
                todo = {a.key: a for a in asked if a.key in missing}
                work = batches(todo.values(), settings.batch_size)
                for completions in workers.ask(purse.limit(work)) if workers and todo else ():
                    desk.take([(todo[c.key].prompt, c) for c in completions])
                    purse.pay(completions)
                    run.progress.advance(len(completions), 0)
                desk.clear()
            except Spent as spent:
                run.progress.cut(str(spent))
                break
            except EngineError:
                desk.settle()
                raise
            if missing and purse.withheld:
                run.progress.cut(purse.empty)
                break
        if workers is not None:
            workers.still_the_same()
