"""The judge of a configuration: which models it asks, how it is built, and who asks for it."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from hashlib import sha256

from safemlrm.config import Config, Model
from safemlrm.engines.workers import Workers, workers_for
from safemlrm.errors import EngineError
from safemlrm.judges import Rules
from safemlrm.judges.asking import Ask, Examiner, ModelJudge
from safemlrm.judges.canaries import CANARIES, canary_digest, right, verdicts
from safemlrm.judges.imported import Imported
from safemlrm.judges.jury import Jury
from safemlrm.judges.rubric import Rubric
from safemlrm.matrix import Matrix
from safemlrm.responses.split import ReasoningMarkers, split
from safemlrm.responses.store import Store
from safemlrm.types import Completion, Identity, Judge, Request


@dataclass(frozen=True, slots=True)
class Contract:
    """What a verdict of a run rests on: the judge, and how many canaries it ruled as a person does.

    `right` is None for a judge that asks no model, and before it ruled on any.
    """

    judge: str
    kind: str
    digest: str
    right: int | None
    canaries: int = len(CANARIES)


Known = Callable[[str], Identity]
"""Tells what a model of safety.toml is."""


def judge_models(config: Config, judge: str | None = None) -> tuple[str, ...]:
    """Return the models that a judge asks, through its jurors; none for one that works by rules."""
    table = config.judges[judge or config.gate.judge]
    found = [table.model] if table.model else []
    found += [model for juror in table.jurors for model in judge_models(config, juror)]
    return tuple(dict.fromkeys(found))


@dataclass
class JudgeModels:
    """Asks the models of a judge, each started when it is first needed, until it is closed.

    `pay` is told of each batch before it is asked, and may raise when a budget is spent.
    """

    config: Config
    known: Known
    pay: Callable[[int], None] = lambda calls: None
    _stack: ExitStack = field(default_factory=ExitStack)
    _workers: dict[str, Workers] = field(default_factory=dict)

    def close(self) -> None:
        """Stop the models."""
        self._stack.close()

    def ask(self, model: str, requests: Sequence[Request]) -> Iterator[Completion]:
        """Yield the completions of requests in any order; errors name the judge's model."""
        if model not in self._workers:
            workers = workers_for(model, self.config, self.known(model))
            self._workers[model] = self._stack.enter_context(workers)
        self.pay(len(requests))
        size = self.config.models[model].batch_size
        ordered = sorted(requests, key=lambda r: sum(len(t.text) for t in r.prompt.turns))
        batches = [ordered[start : start + size] for start in range(0, len(ordered), size)]
        answered = 0
        for completions in self._workers[model].ask(batches):
            answered += len(completions)
            yield from completions
        if answered < len(requests):
            raise EngineError(
                f"judge model {model!r} left {len(requests) - answered} of {len(requests)} requests "
                "unanswered; what it judged before is stored, run again"
            )

    def still_the_same(self) -> None:
        """Raise `EngineError` when one of the models is not the one that was identified."""
        for workers in self._workers.values():
            workers.still_the_same()


def build_judge(
    config: Config, matrix: Matrix, store: Store, known: Known, models: JudgeModels | None = None
) -> Judge:
    """Return the judge that [gate] names; without `models` only its digest can be had of it.

    `known` is asked about its models alone.
    """
    return _build(config.gate.judge, config, matrix, store, known, models)


def _build(
    name: str,
    config: Config,
    matrix: Matrix,
    store: Store,
    known: Known,
    models: JudgeModels | None,
) -> Judge:
    table = config.judges[name]
    if table.kind == "rules":
        return Rules()
    if table.kind == "imported":
        return Imported(name)
    if table.kind == "jury":
        jurors = {j: _build(j, config, matrix, store, known, models) for j in table.jurors}
        return Jury(name, jurors, config.gate.unsafe_at, table.foreman)
    assert table.model is not None
    examiner: Examiner
    if table.kind == "rubric":
        policies = {slug: scenario.policy for slug, scenario in matrix.scenarios.items()}
        examiner = Rubric(policies, table.images)
    else:
        from safemlrm.judges.guard import build_guard

        examiner = build_guard(name, table, config.folder)
    identity = known(table.model).digest
    generation = store.served(retirement(identity))
    return ModelJudge(
        name,
        examiner,
        f"{identity}/{generation[0] if generation else 0}",
        _asks(table.model, models),
        _answers(config.models[table.model]),
        table.retries,
    )


def _asks(model: str, models: JudgeModels | None) -> Ask:
    def ask(requests: Sequence[Request]) -> Iterable[Completion]:
        if models is None:
            raise EngineError(f"judge model {model!r} can be asked only while measuring")
        return models.ask(model, requests)

    return ask


def _answers(model: Model) -> Callable[[Completion], str | None]:
    """Return what takes the answer from a judge's output, which may think before it."""
    markers = ReasoningMarkers(**model.reasoning.model_dump()) if model.reasoning else None

    def answer(completion: Completion) -> str | None:
        return None if completion.finish != "stop" else split(completion, markers).answer

    return answer


def canary_name(judge: Judge) -> str:
    """Return the name under which the store keeps which harm a judge found in the canaries."""
    under = f"{judge.digest}/{canary_digest()}"
    return f"canaries/{sha256(under.encode()).hexdigest()[:32]}"


def contract_of(config: Config, judge: Judge, store: Store) -> Contract:
    """Return what is known of the judge of a run."""
    stored = store.served(canary_name(judge))
    found = None
    if stored is not None:
        found = right(verdicts(json.loads(stored[1]), config.gate.unsafe_at))
    name = config.gate.judge
    return Contract(name, config.judges[name].kind, judge.digest, found)


def same_model(one: Identity, other: Identity) -> bool:
    """Whether two models of safety.toml are one, however they are named, prompted or decoded.

    Files are compared by their content; behind addresses it is the name at one of the same addresses.
    """
    ours, theirs = one.parts, other.parts
    if "weights" in ours and "weights" in theirs:
        return all(ours[part] == theirs[part] for part in ("weights", "adapter"))
    if "url" in ours and "url" in theirs:
        shared = set(json.loads(ours["url"])) & set(json.loads(theirs["url"]))
        return bool(shared) and ours["model"] == theirs["model"]
    return False


def retirement(identity: str) -> str:
    """Return the name under which the store counts how often a judge's scores were retired."""
    return f"judge/{identity}"
