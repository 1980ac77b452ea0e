"""What is looked at before the first model is asked: a mistake must not cost GPU time."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Mapping

from safemlrm.config import Config, Model
from safemlrm.engines.folder import reads_text_only
from safemlrm.engines.identity import identity_of, with_generation
from safemlrm.engines.served import QUESTIONS, Served, endpoint_of, see
from safemlrm.errors import ConfigError, EngineError
from safemlrm.judging import judge_models
from safemlrm.matrix import Matrix
from safemlrm.plan import Plan
from safemlrm.reading import settings_key
from safemlrm.responses.store import Store
from safemlrm.types import Identity

log = logging.getLogger(__name__)
RETIRED = ""
"""Stands for the canaries of a generation that ended in the middle of a run: nothing is like it."""


def look_at_models(
    plan: Plan,
    config: Config,
    matrix: Matrix,
    store: Store,
    uid: str,
    note: Callable[[str], None] = log.warning,
) -> dict[str, Identity | EngineError]:
    """Return what every model of a plan is, or why it cannot be read, and remember it for the readers.

    `note` is told what a person should know of a model before it is asked. Raises `ConfigError` where
    the configuration asks of a model what it cannot do; nothing was asked of any by then.
    """
    for model in plan.models:
        _check_turns(model, plan, config, matrix)
        _check_options(model, plan, config, matrix)
    tokens = config.budget.tokens
    identities = {m: _identify(m, config, store, uid, note, tokens) for m in plan.models}
    for model in judge_models(config):
        judge = _identify(model, config, store, uid, note)
        if isinstance(judge, EngineError):
            raise judge  # nothing could be scored, so nothing is asked
    _check_confirm(config, identities)
    for model, identity in identities.items():
        if isinstance(identity, Identity):
            _check_sight(model, plan, config, matrix)
    return identities


def retire(model: str, config: Config, store: Store, uid: str) -> None:
    """End the generation of a model that changed behind its address: no run reads its answers again."""
    settings = config.models[model]
    generation, _ = store.served(endpoint_of(settings)) or (0, RETIRED)
    store.set_served(endpoint_of(settings), generation, RETIRED)
    store.set_identity(uid, model, settings_key(settings), None)


def _identify(
    model: str,
    config: Config,
    store: Store,
    uid: str,
    note: Callable[[str], None],
    tokens: int | None = None,
) -> Identity | EngineError:
    """Record what a model is now, so that its answers are found without its weights later.

    `tokens` is the budget its answers are counted against.
    """
    settings = config.models[model]
    try:
        identity = identity_of(model, settings, config.folder)
        if settings.engine == "openai":
            now = see(model, settings)
            if tokens is not None and not now.counts:
                raise EngineError(
                    f"[models.{model}] the server does not say how many tokens it used, so that [budget] "
                    f"tokens = {tokens} would never be spent; limit requests or seconds instead"
                )
            identity = _recognise(model, settings, now, identity, store, note)
    except EngineError as error:
        store.set_identity(uid, model, settings_key(settings), None)
        return error
    store.set_identity(uid, model, settings_key(settings), identity)
    return identity


def _recognise(
    name: str,
    settings: Model,
    now: Served,
    identity: Identity,
    store: Store,
    note: Callable[[str], None],
) -> Identity:
    """Tell whether a server still has the model whose answers are stored, or the next generation."""
    endpoint = endpoint_of(settings)
    if not now.canaries:
        note(
            f"model {name}: none of {len(QUESTIONS)} canaries is answered alike twice, so that only "
            "what the server reports of itself would show that it has another model"
        )
    generation, known = store.served(endpoint) or (-1, RETIRED)
    why = "it changed in the middle of a run"
    if known != RETIRED:
        why = Served.from_json(known).unlike(now)
        if not why:
            return with_generation(identity, generation, known)
    generation, known = generation + 1, now.to_json()
    if generation:
        note(
            f"model {name}: another model than before answers at this address ({why}); nothing of the "
            f"earlier one is used, and all is asked again (generation {generation})"
        )
    store.set_served(endpoint, generation, known)
    return with_generation(identity, generation, known)


def _check_turns(model: str, plan: Plan, config: Config, matrix: Matrix) -> None:
    """Raise `ConfigError` when an attack begins the turn of a model whose server cannot go on with it."""
    settings = config.models[model]
    if settings.engine != "openai" or settings.continue_turn:
        return
    for item in plan.of(model):
        first = matrix.scenarios[item.cell.scenario].pool[0]
        if matrix.attacks[item.cell.attack].apply(first, config.gate.seed).prefill:
            raise ConfigError(
                f"{config.file}: [attacks.{item.cell.attack}] begins the model's turn, which a chat API "
                f"does not offer; set continue_turn = true in [models.{model}] if its server can go on "
                "with a turn (continue_final_message, as vLLM and SGLang can), or leave the attack out"
            )


def _check_options(model: str, plan: Plan, config: Config, matrix: Matrix) -> None:
    """Raise `ConfigError` when a model would choose whose engine does not tell how likely an option is."""
    engine = config.models[model].engine
    for item in plan.of(model) if engine in ("openai", "vllm") else ():
        if matrix.scenarios[item.cell.scenario].expectation == "choose":
            raise ConfigError(
                f"{config.file}: [scenarios.{item.cell.scenario}] asks how likely each option is, which "
                f'engine = "{engine}" of [models.{model}] does not tell; ask it with engine = '
                '"transformers", or leave the scenario out by [pairs.NAME] scenarios'
            )


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


def _check_confirm(config: Config, identities: Mapping[str, Identity | EngineError]) -> None:
    """Refuse to confirm with a greedy model, whose own settings may say so: nothing would be fresh."""
    for name in sorted({pair.candidate for pair in config.pairs.values()} & identities.keys()):
        identity = identities[name]
        greedy = (
            isinstance(identity, Identity)
            and json.loads(identity.parts["decoding"])["temperature"] == 0
        )
        if config.gate.confirm and greedy:
            raise ConfigError(
                f"{config.file}: [gate] confirm needs responses that vary, but [models.{name}] decodes "
                "greedily; leave confirm out, or give the model a temperature above 0"
            )
