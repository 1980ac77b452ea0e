"""What users add by hooks: attacks and prompts by name, checked when they arrive and when they are used."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from inspect import signature
from pathlib import Path
from traceback import extract_tb
from typing import TYPE_CHECKING

from safemlrm.attacks import BUILTIN
from safemlrm.config import Config, suggest
from safemlrm.config.values import SLUG
from safemlrm.engines.defence import BUILTIN as DEFENCES
from safemlrm.engines.defence import Placed, place_of, source_digest
from safemlrm.errors import ConfigError, SafemlrmError
from safemlrm.prompts import askable, checked
from safemlrm.prompts.sources import SOURCES
from safemlrm.types import Attack, Prompt

if TYPE_CHECKING:
    from pluggy import PluginManager

PREFIX = "pytest_safemlrm_"
ATTACKS = "pytest_safemlrm_attacks"
DEFENDING = "pytest_safemlrm_defences"
PROMPTS = "pytest_safemlrm_prompts"
HOOKS = (ATTACKS, DEFENDING, PROMPTS)
LINEAGE = ("id", "scenario", "phrase", "expectation", "options", "correct")
"""What a prompt keeps under every attack: who is counted, and what a judge reads."""


@dataclass(frozen=True, slots=True)
class OwnAttack:
    """A user's attack under the name of its table; its `kind` keeps the digests of two apart."""

    name: str
    kind: str
    giver: str
    inner: Attack

    @property
    def digest(self) -> str:
        """The user's digest beside the name it came under."""
        return f"own/{self.kind}/{self.inner.digest}"

    def apply(self, prompt: Prompt, seed: int) -> Prompt:
        """Return what the user's attack made; `SafemlrmError` when that is not the same prompt attacked."""
        where = f"{self.giver}: attack {self.kind!r}, prompt {prompt.id}:"
        try:
            attacked = self.inner.apply(prompt, seed)
        except SafemlrmError:
            raise
        except (
            Exception
        ) as error:  # a user's code may raise anything, and its text may quote a prompt
            raise SafemlrmError(
                f"{where} apply raised {type(error).__name__}{_place(error)}"
            ) from error
        if not isinstance(attacked, Prompt):
            raise SafemlrmError(f"{where} apply returned {_type(attacked)}, not a Prompt")
        for name in LINEAGE:
            if getattr(attacked, name) != getattr(prompt, name):
                raise SafemlrmError(
                    f"{where} apply changed its {name}; change turns and prefill alone, as in "
                    "dataclasses.replace(prompt, turns=...)"
                )
        if not askable(attacked.turns) or not isinstance(attacked.prefill, str):
            raise SafemlrmError(
                f"{where} apply left no turns to ask; give a tuple of Turn(text, images)"
            )
        return attacked


@dataclass(frozen=True, slots=True)
class Offer:
    """A user's attack as `BUILTIN` has its own: called with a name it gives the attack."""

    kind: str
    giver: str
    inner: Attack

    def __call__(self, name: str) -> OwnAttack:
        """Return the attack under the name of a table."""
        return OwnAttack(name, self.kind, self.giver, self.inner)


@dataclass(frozen=True, slots=True)
class Extensions:
    """Attacks by kind, prompts by source and the places of defences, beside those that are built in."""

    attacks: Mapping[str, Offer] = field(default_factory=dict)
    prompts: Mapping[str, Sequence[Prompt]] = field(default_factory=dict)
    defences: Mapping[str, str] = field(default_factory=dict)


NONE = Extensions()


def gather(plugins: PluginManager) -> Extensions:
    """Ask every plugin and conftest.py that is registered for what it adds.

    Raises `ConfigError` for what cannot be used, and names who gave it.
    """
    for hook in vars(plugins.hook):  # a misspelt one would add nothing
        if hook.startswith(PREFIX) and hook not in HOOKS:
            giver = getattr(plugins.hook, hook).get_hookimpls()[0].plugin_name
            raise ConfigError(f"{giver}: there is no hook {hook}{suggest(hook, HOOKS)}")
    attacks = {
        name: Offer(name, giver, _attack(giver, name, given))
        for giver, name, given in _given(plugins, ATTACKS, BUILTIN)
    }
    prompts = {
        name: _prompts(giver, name, given)
        for giver, name, given in _given(plugins, PROMPTS, SOURCES)
    }
    defences = {
        name: _place_given(giver, name, given)
        for giver, name, given in _given(plugins, DEFENDING, DEFENCES)
    }
    return Extensions(attacks, prompts, defences)


def defended(config: Config, extensions: Extensions) -> Config:
    """Return a configuration whose models know where their defences lie.

    Raises `ConfigError` for a defence that is neither built in nor given by a hook.
    """
    models = dict(config.models)
    for name, model in config.models.items():
        if model.defence is None:
            continue
        if model.defence.kind in extensions.defences:
            place = extensions.defences[model.defence.kind]
            placed = Placed(**model.defence.model_dump(), place=place)
            models[name] = model.model_copy(update={"defence": placed})
            continue
        try:
            place_of(model.defence)
        except ConfigError as error:
            raise ConfigError(f"{config.file}: [models.{name}] {error}") from None
    return config.model_copy(update={"models": models})


def _given(
    plugins: PluginManager, hook: str, builtin: Mapping[str, object]
) -> Iterator[tuple[str, str, object]]:
    """Yield who gave what under which name, each name once."""
    givers = dict.fromkeys(builtin, "pytest-safemlrm")
    for implementation in getattr(plugins.hook, hook).get_hookimpls():
        giver = implementation.plugin_name
        found = _call(giver, hook, implementation.function)
        if not isinstance(found, Mapping):
            raise ConfigError(
                f"{giver}: {hook} returned {_type(found)}; expected a dict of name: object"
            )
        for name, given in found.items():
            if not isinstance(name, str) or not re.fullmatch(SLUG, name):
                shown = repr(name) if isinstance(name, str) and len(name) < 40 else _type(name)
                raise ConfigError(
                    f"{giver}: {hook}: {shown} is not a valid name; use a-z, 0-9 and _ and start "
                    "with a letter"
                )
            other = givers.setdefault(name, giver)
            if other != giver or name in builtin:
                raise ConfigError(
                    f"{giver}: {hook}: {other} has {name!r} already; choose another name"
                )
            yield giver, name, given


def _call(giver: str, hook: str, function: Callable[[], object]) -> object:
    try:
        return function()
    except Exception as error:  # a user's code may raise anything
        # The text of any other error may quote a prompt.
        known = isinstance(error, OSError | ImportError)
        said = f": {str(error).partition(chr(10))[0]}" if known else ""
        raise ConfigError(
            f"{giver}: {hook} raised {type(error).__name__}{_place(error)}{said}"
        ) from error


def _attack(giver: str, name: str, given: object) -> Attack:
    """Return an attack that has what it needs; whether it keeps a prompt's lineage shows in use."""
    where = f"{giver}: {ATTACKS}: {name!r}"
    if isinstance(given, type):
        raise ConfigError(
            f"{where} is the class {given.__name__}; give an object, as in {given.__name__}()"
        )
    apply = getattr(given, "apply", None)
    if not callable(apply):
        raise ConfigError(f"{where} has no apply(prompt, seed); it returns the attacked prompt")
    try:
        signature(apply).bind("prompt", 0)
    except (TypeError, ValueError):
        raise ConfigError(f"{where}: apply does not take (prompt, seed)") from None
    try:
        digest = getattr(given, "digest", None)
    except Exception as error:  # a property of a user's may raise anything
        raise ConfigError(
            f"{where}: digest raised {type(error).__name__}{_place(error)}"
        ) from error
    if not isinstance(digest, str) or not digest.strip():
        raise ConfigError(
            f'{where} has no digest; give a text such as digest = "{name}/1", and another one '
            "whenever what apply returns changes"
        )
    own: Attack = given  # type: ignore[assignment]  # what the protocol asks for was just looked at
    return own


def _place_given(giver: str, name: str, given: object) -> str:
    """Return a place whose module can be found; what lies there shows where the model runs."""
    where = f"{giver}: {DEFENDING}: {name!r}"
    if not isinstance(given, str):
        raise ConfigError(
            f'{where} is {_type(given)}; give its place as a text, "module:attribute", since it is '
            "imported where the model runs"
        )
    try:
        source_digest(given)
    except ConfigError as error:
        raise ConfigError(f"{where}: {error}") from None
    return given


def _prompts(giver: str, name: str, given: object) -> Sequence[Prompt]:
    try:
        return checked(given)
    except ConfigError as error:
        raise ConfigError(f"{giver}: {PROMPTS}: {name!r}: {error}") from None


def _type(value: object) -> str:
    return type(value).__name__


def _place(error: Exception) -> str:
    """Say in which line of the user's code an error arose."""
    frames = extract_tb(error.__traceback__)
    return (
        f" ({Path(frames[-1].filename).name}, line {frames[-1].lineno})" if len(frames) > 1 else ""
    )
