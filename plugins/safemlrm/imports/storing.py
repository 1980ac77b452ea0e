"""Imported responses -> the store, under the keys a run of their project would give them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from safemlrm.config import Config
from safemlrm.engines.identity import identity_of
from safemlrm.errors import ConfigError
from safemlrm.imports.items import Answered, Item
from safemlrm.judging import build_judge, judge_models
from safemlrm.matrix import Matrix
from safemlrm.plan import Work, build_plan
from safemlrm.reading import settings_key
from safemlrm.responses.scoring import Scorer
from safemlrm.responses.split import split
from safemlrm.responses.store import Scored, Store
from safemlrm.rounds import Asked, attacked
from safemlrm.types import Completion, Identity, Prompt, Response, Score, TraceState

UID = "safemlrm import"
NOTHING = Score(None, None, None, path="not imported")
Answers = list[tuple[Prompt, Completion, Item]]


@dataclass(frozen=True, slots=True)
class Kept:
    """What of a model came into the store: responses, those with a verdict, questions without response."""

    model: str
    responses: int
    scored: int
    unanswered: int


def keep(config: Config, matrix: Matrix, store: Store, runs: Mapping[str, Answered]) -> list[Kept]:
    """Store every model's responses with the source's scores, or what a judge by rules says of them.

    A judge that asks a model rules in the next run of pytest. Raises `ConfigError` where safety.toml
    is of other responses.
    """
    plan, kept = build_plan(matrix, matrix.cases), []
    for model, run in runs.items():
        settings = config.models.get(model)
        if settings is None or settings.engine != "imported" or settings.epoch != run.digest:
            raise ConfigError(
                f"{config.file}: [models.{model}] is not what is imported now; name a new folder by --to"
            )
        identity = identity_of(model, settings, config.folder)
        store.set_identity(UID, model, settings_key(settings), identity)
        scorer = _scorer(config, matrix, store, model)
        kept.append(_keep(model, run, plan.of(model), identity, (config, matrix, store, scorer)))
    return kept


Desk = tuple[Config, Matrix, Store, Scorer | None]


def _scorer(config: Config, matrix: Matrix, store: Store, model: str) -> Scorer | None:
    """Return who scores now, None where a model would have to be asked."""
    if judge_models(config):
        return None
    judge = build_judge(config, matrix, store, _unknown)
    return Scorer.of(judge, config.models[model].reasoning)


def _unknown(model: str) -> Identity:
    raise ConfigError(f"[models.{model}] judges, and is asked only by a run of pytest")


def _keep(
    model: str, run: Answered, work: tuple[Work, ...], identity: Identity, desk: Desk
) -> Kept:
    config, matrix, store, scorer = desk
    items = {(item.scenario, item.attack, item.id): item for item in run.items}
    asked = [
        (item.cell.scenario, place)
        for item in work
        for place in attacked(item, identity, matrix, config.gate.seed)
    ]
    store.index((a.cell, a.position, a.prompt.id, a.key) for _, a in asked)
    answers = list(_answers(asked, items))
    imported = config.judges[config.gate.judge].kind == "imported"
    scores = [] if scorer is None else _scores(scorer, answers, imported=imported)
    completions = [(prompt.id, completion) for prompt, completion, _ in answers]
    store.add(model, completions, scorer.key if scorer else "", scores)
    known = sum(s.score.of(config.limits.channel) is not None for _, s in scores)
    return Kept(model, len(answers), known, len(asked) - len(answers))


def _answers(
    asked: list[tuple[str, Asked]], items: Mapping[tuple[str, str, str], Item]
) -> Iterator[tuple[Prompt, Completion, Item]]:
    for scenario, place in asked:
        item = items.get((scenario, place.attack, place.prompt.id))
        if item is not None and item.text is not None:
            yield place.prompt, Completion(place.key, item.text, item.finish, 0, 0), item


def _scores(scorer: Scorer, answers: Answers, *, imported: bool) -> list[tuple[str, Scored]]:
    if not imported:
        return scorer.score((prompt, completion) for prompt, completion, _ in answers)
    return [(c.key, _given(split(c, scorer.markers), item)) for _, c, item in answers]


def _given(response: Response, item: Item) -> Scored:
    score, state = item.score or NOTHING, response.state
    if not response.full.strip() and score.full is not None:  # its text was not published
        state = TraceState.ABSENT if score.reasoning is None else TraceState.COMPLETE
    return Scored(score, state, response.prefilled, response.multiple)
