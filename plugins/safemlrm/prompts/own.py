"""Prompts that a user's hook returns, as one more source."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from safemlrm.errors import ConfigError
from safemlrm.prompts.folder import opened
from safemlrm.prompts.rows import Asked, Loaded, prompt_id
from safemlrm.prompts.tables import OWN
from safemlrm.types import Image, Prompt, Turn


def checked(given: object) -> tuple[Prompt, ...]:
    """Return what a hook gave for one name; `ConfigError` says which prompt is wrong, and shows no text."""
    if isinstance(given, str | bytes) or not isinstance(given, Sequence):
        raise ConfigError(f"expected a list of Prompt, got {_kind(given)}")
    if not given:
        raise ConfigError("there is no prompt in it; give at least one, or leave the name out")
    for number, prompt in enumerate(given, start=1):
        if mistake := _mistake(prompt):
            raise ConfigError(f"prompt {number} {mistake}")
    prompts = tuple(given)
    first: dict[str, int] = {}
    for number, prompt in enumerate(prompts, start=1):
        if first.setdefault(prompt.id, number) != number:
            raise ConfigError(
                f"prompt {number} has the id of prompt {first[prompt.id]}; each needs its own"
            )
        if prompt.expectation != prompts[0].expectation:
            raise ConfigError(
                f"prompt 1 expects {prompts[0].expectation!r}, prompt {number} "
                f"{prompt.expectation!r}; give the two kinds names of their own"
            )
    return prompts


def load(asked: Asked, prompts: Sequence[Prompt]) -> Loaded:
    """Return the prompts as those of the scenario that asks them.

    Raises `ConfigError` for one that says it belongs to another scenario, and for a broken picture.
    """
    source, expectation = asked.table.source, prompts[0].expectation
    for number, prompt in enumerate(prompts, start=1):
        if prompt.scenario not in ("", source, asked.slug):
            raise ConfigError(
                f"source = {source!r}: prompt {number} is of another scenario; leave "
                "Prompt.scenario blank, the table that asks gives it"
            )
        for image in (image for turn in prompt.turns for image in turn.images):
            opened(image.data, f"source = {source!r}: prompt {number}")
    named = tuple(
        replace(p, id=prompt_id(OWN, asked.slug, p.id), scenario=asked.slug) for p in prompts
    )
    return Loaded(named, "", expectation)


def askable(turns: object) -> bool:
    """Say whether these are turns a model can be asked: texts and encoded pictures, and one at least."""
    return (
        isinstance(turns, tuple)
        and bool(turns)
        and all(
            isinstance(turn, Turn)
            and isinstance(turn.text, str)
            and isinstance(turn.images, tuple)
            and all(isinstance(i, Image) and isinstance(i.data, bytes) for i in turn.images)
            for turn in turns
        )
        and not any("\ud800" <= letter <= "\udfff" for turn in turns for letter in turn.text)
    )


def _mistake(prompt: object) -> str:
    """Say what is wrong with a prompt; nothing where it can be asked."""
    if not isinstance(prompt, Prompt):
        return f"is {_kind(prompt)}, not a Prompt"
    if not isinstance(prompt.id, str) or not prompt.id.strip():
        return "has no id; it names the prompt in reports"
    if not askable(prompt.turns):
        return "has no turns to ask; give a tuple of Turn(text, (Image(png_bytes), ...))"
    if not prompt.turns[0].text.strip():
        return "has a blank text; write one, or leave the prompt out"
    if not isinstance(prompt.phrase, str):
        return "has no phrase; give the key phrase of its text, or a blank one"
    if not isinstance(prompt.prefill, str) or not isinstance(prompt.language, str):
        return "has a prefill or a language that is no text; leave it out"
    forms = prompt.forms
    if not isinstance(forms, Mapping) or not all(askable((turn,)) for turn in forms.values()):
        return "has forms that are no dict of name: Turn; leave them out, or give each a Turn"
    if prompt.expectation not in ("refuse", "help", "choose"):
        known = '"refuse", "help" or "choose"'
        return f"expects {_kind(prompt.expectation)}; write expectation = {known}"
    return _mischosen(prompt)


def _mischosen(prompt: Prompt) -> str:
    """Say what is wrong with the options, which a multiple-choice prompt has and no other."""
    options, correct = prompt.options, prompt.correct
    if not isinstance(options, tuple) or not all(isinstance(o, str) and o.strip() for o in options):
        return 'has options that are no tuple of texts; write options = ("A", "B", ...)'
    if (prompt.expectation == "choose") != bool(options):
        return 'has options or expects "choose", but not both; a multiple-choice prompt has both'
    if options and (len(options) < 2 or len(set(options)) < len(options)):
        return "has fewer than two different options; there is nothing to choose"
    if options and (not isinstance(correct, int) or not 0 <= correct < len(options)):
        return "does not say which option is right; correct is its place, from 0"
    return ""


def _kind(value: object) -> str:
    """Name the type, or a short word as it is: a longer text could be a prompt."""
    return repr(value) if isinstance(value, str) and len(value) < 12 else type(value).__name__
