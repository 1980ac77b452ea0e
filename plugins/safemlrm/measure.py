"""The only writer: plan -> attack -> generate -> split -> judge -> store, in rounds."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import ExitStack
from typing import Protocol

from safemlrm.budget import Purse
from safemlrm.config import Config
from safemlrm.engines.children import Children
from safemlrm.engines.folder import reads_text_only
from safemlrm.engines.identity import identity_of
from safemlrm.errors import ConfigError, EngineError
from safemlrm.family import build_families
from safemlrm.judges import build_judge
from safemlrm.matrix import Matrix
from safemlrm.plan import Plan
from safemlrm.reading import Cells, settings_key
from safemlrm.responses.scoring import Scorer
from safemlrm.responses.store import Store
from safemlrm.rounds import Asked, batches, rounds
from safemlrm.types import Identity
from safemlrm.watch import Watch


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


def measure(
    plan: Plan, config: Config, matrix: Matrix, store: Store, uid: str, progress: Progress
) -> None:
    """Ask every model what the plan needs and the store does not have yet.

    A model that cannot be measured is recorded under the run's id, its tests are broken, and the
    others go on. Only one run at a time measures into a store; a second one waits, then finds the
    answers there.
    """
    leaves = None
    if config.gate.stop == "early":
        cells = Cells(config, matrix, store, uid)
        leaves = Watch(cells, build_families(config, matrix), plan.cases).leaves
    purse = Purse(config.budget)
    with store.lock(progress.wait):
        # Every model is looked at before the first is asked: a wrong path must not cost GPU time.
        identities = {model: _identify(model, config, store, uid) for model in plan.models}
        for model, identity in identities.items():
            if isinstance(identity, Identity):
                _check_sight(model, plan, config, matrix)
        for model, identity in identities.items():
            work = plan.of(model)
            progress.start(model, len(work), sum(item.prompts for item in work))
            try:
                if isinstance(identity, EngineError):
                    raise identity
                batch = config.models[model].batch_size
                asked = rounds(work, identity, matrix, config.gate.seed, leaves, batch)
                _ask(model, identity, asked, config, store, progress, purse)
            except EngineError as error:
                store.set_broken(uid, model, str(error))
                progress.broken(str(error))
            else:
                progress.finish()


def _identify(model: str, config: Config, store: Store, uid: str) -> Identity | EngineError:
    """Record what a model is now, so that its answers are found without its weights later."""
    settings = config.models[model]
    try:
        identity = identity_of(model, settings, config.folder)
    except EngineError as error:
        store.set_identity(uid, model, settings_key(settings), None)
        return error
    store.set_identity(uid, model, settings_key(settings), identity)
    return identity


def _check_sight(model: str, plan: Plan, config: Config, matrix: Matrix) -> None:
    """Raise `ConfigError` when a model of text only would be shown pictures."""
    if not reads_text_only(config.models[model], config.folder):
        return
    for item in plan.of(model):
        first = matrix.scenarios[item.cell.scenario].pool[0]
        prompt = matrix.attacks[item.cell.attack].apply(first, config.gate.seed)
        if any(turn.images for turn in prompt.turns):
            raise ConfigError(
                f"{config.file}: [models.{model}] reads text only, but [attacks.{item.cell.attack}] "
                f"shows it a picture in [scenarios.{item.cell.scenario}]; leave the attack out, or "
                "select tests without it, for this model"
            )


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
    scorer = Scorer.of(build_judge(config), settings.reasoning)
    with ExitStack() as stack:
        children: Children | None = None
        for asked in all_rounds:
            store.index((a.cell, a.position, a.prompt.id, a.key) for a in asked)
            missing = store.missing(a.key for a in asked)
            scorer.rescore(store, model, {a.key: a.prompt for a in asked if a.key not in missing})
            progress.advance(0, len(asked) - len(missing))
            if not missing:
                continue
            if children is None:  # a run that finds everything in the store loads no model
                children = stack.enter_context(
                    Children(model, settings, config.folder, identity.digest)
                )
            todo = {a.key: a for a in asked if a.key in missing}
            work = batches(todo.values(), settings.batch_size)
            for completions in children.ask(purse.limit(work)):
                scorer.add(store, model, [(todo[c.key].prompt, c) for c in completions])
                purse.pay(completions)
                progress.advance(len(completions), 0)
            if purse.withheld:
                progress.cut(purse.empty)
                break
