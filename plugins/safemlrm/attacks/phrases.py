"""What attacks that show the key phrase have in common: finding it, and taking it out of the text."""

from __future__ import annotations

from dataclasses import replace

from safemlrm.errors import SafemlrmError
from safemlrm.types import Image, Prompt


def phrase_of(prompt: Prompt, attack: str) -> str:
    """Return the key phrase; `SafemlrmError` when it is blank."""
    if not prompt.phrase.strip():
        raise SafemlrmError(
            f"prompt {prompt.id}: {attack} draws the key phrase, and this prompt has none; "
            "leave the attack out for this scenario or give the data set a phrase column"
        )
    return prompt.phrase


def refer(prompt: Prompt, reference: str, attack: str) -> str:
    """Return the first turn's text with a reference to a picture in place of the phrase.

    Raises `SafemlrmError` when the text does not contain the phrase.
    """
    text = prompt.turns[0].text
    if not prompt.phrase.strip() or prompt.phrase not in text:
        raise SafemlrmError(
            f"prompt {prompt.id}: {attack} needs a key phrase that occurs in the text; "
            "leave the attack out for this scenario or give the data set a phrase column"
        )
    return text.replace(prompt.phrase, reference)


def with_first_turn(prompt: Prompt, text: str, *images: Image) -> Prompt:
    """Return the prompt with another text in its first turn, and pictures after those it has."""
    first, *rest = prompt.turns
    turn = replace(first, text=text, images=(*first.images, *images))
    return replace(prompt, turns=(turn, *rest))
