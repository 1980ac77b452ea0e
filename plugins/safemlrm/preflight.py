"""What is looked at before the first model is asked: a mistake must not cost GPU time."""

from __future__ import annotations

import json
from collections.abc import Mapping

from safemlrm.config import Config
from safemlrm.engines.folder import reads_text_only
from safemlrm.engines.identity import identity_of
from safemlrm.errors import ConfigError, EngineError
from safemlrm.judging import judge_models
from safemlrm.matrix import Matrix
from safemlrm.plan import Plan
from safemlrm.reading import settings_key
from safemlrm.responses.store import Store
from safemlrm.types import Identity


def look_at_models(
    plan: Plan, config: Config, matrix: Matrix, store: Store, uid: str
) -> dict[str, Identity | EngineError]:
    """Return what every model of a plan is, or why it cannot be read, and remember it for the readers.

    Raises `ConfigError` where the configuration asks of a model what it cannot do.
    """
    identities = {model: _identify(model, config, store, uid) for model in plan.models}
    for model in judge_models(config):
        judge = _identify(model, config, store, uid)
        if isinstance(judge, EngineError):
            raise judge  # nothing could be scored, so nothing is asked
    _check_confirm(config, identities)
    for model, identity in identities.items():
        if isinstance(identity, Identity):
            _check_sight(model, plan, config, matrix)
    return identities


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
