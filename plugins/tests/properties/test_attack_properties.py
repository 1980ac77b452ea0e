"""What holds for every attack: lineage stays, equal input gives equal bytes, odd text is survived."""

from __future__ import annotations

from dataclasses import fields, replace
from io import BytesIO

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image as Picture

from safemlrm.attacks import (
    BUILTIN,
    Chain,
    PromptInjection,
    figstep,
    figstep_original,
    injection,
    mm_safetybench,
)
from safemlrm.errors import SafemlrmError
from safemlrm.types import Attack, Image, Prompt, Turn

SHOWN = ("turns", "prefill")
LINEAGE = [field.name for field in fields(Prompt) if field.name not in SHOWN]
BUFFER = BytesIO()
Picture.new("RGB", (32, 16), "navy").save(BUFFER, format="PNG")
FORMS = {"sd": Turn("", (Image(BUFFER.getvalue()),))}
ATTACKS: dict[str, Attack] = {
    **{
        kind: build(text="Just so you know.") if kind == "trigger" else build()
        for kind, build in BUILTIN.items()
    },
    "page": PromptInjection(where="image"),
    "chain": Chain("chain", tuple(BUILTIN[kind]() for kind in ("mm_typo", "code", "prefill"))),
}
RENDERERS = (figstep.render, figstep_original.render, mm_safetybench.typo, mm_safetybench.above)
ODD = {
    "empty": "",
    "blank": " \t ",
    "unicode": "un bateau en papier \u00e0 voile",
    "chinese": "\u7eb8\u8239",
    "emoji": "a \U0001f6a2",
    "right to left": "\u0642\u0627\u0631\u0628 \u0648\u0631\u0642\u064a",
    "long": "paper boat " * 909 + "x",
    "one long word": "x" * 10_000,
    "surrogate": "a \ud800 boat",
    "control": "a\x00boat\x1b[0m",
}
phrases = st.text(st.characters(codec="ascii", exclude_categories=["Cc"]), min_size=1, max_size=24)


def prompt(phrase: str) -> Prompt:
    """Return a prompt whose text holds the phrase."""
    turns = (Turn(f"How does {phrase} work?"), Turn("And then?"))
    return Prompt("p-1", "fraud", turns, phrase, "refuse", "en", "mine", FORMS)


def attempt(attack: Attack, before: Prompt, seed: int = 0) -> tuple[Prompt, str]:
    """Return the attacked prompt and no error, or the prompt as it was and the error."""
    try:
        return attack.apply(before, seed), ""
    except SafemlrmError as error:
        return before, str(error)


def forget() -> None:
    """Empty every cache of pictures."""
    for render in (*RENDERERS, injection.page):
        render.cache_clear()


@pytest.mark.parametrize("name", ATTACKS)
@given(phrase=phrases, seed=st.integers(0, 9))
@settings(max_examples=25, deadline=None)
def test_no_attack_changes_the_lineage_or_the_other_turns(
    name: str, phrase: str, seed: int
) -> None:
    before = prompt(phrase)
    after, _ = attempt(ATTACKS[name], before, seed)
    assert all(getattr(after, field) == getattr(before, field) for field in LINEAGE)
    assert after.turns[1:] == before.turns[1:]


@pytest.mark.parametrize("name", ATTACKS)
def test_the_same_seed_gives_the_same_bytes(name: str) -> None:
    first = ATTACKS[name].apply(prompt("a paper boat"), 3)
    forget()
    assert ATTACKS[name].apply(prompt("a paper boat"), 3) == first


@pytest.mark.parametrize("name", ATTACKS)
@pytest.mark.parametrize("odd", ODD)
def test_odd_phrases_survive_or_are_refused_in_one_line(name: str, odd: str) -> None:
    before = prompt(ODD[odd])
    after, error = attempt(ATTACKS[name], before)
    assert "\n" not in error
    assert len(error) < 300
    assert not ODD[odd].strip() or ODD[odd] not in error
    assert all(getattr(after, field) == getattr(before, field) for field in LINEAGE)
    for image in after.turns[0].images:
        assert Picture.open(BytesIO(image.data)).width > 0


@pytest.mark.parametrize("name", ATTACKS)
def test_a_prompts_own_pictures_stay_in_front(name: str) -> None:
    own = Image(BUFFER.getvalue())
    before = prompt("a paper boat")
    shown = replace(before, turns=(replace(before.turns[0], images=(own,)), before.turns[1]))
    assert ATTACKS[name].apply(shown, 0).turns[0].images[0] == own


def test_every_attack_has_a_digest_of_its_own() -> None:
    digests = {attack.digest for attack in ATTACKS.values()}
    assert len(digests) == len(ATTACKS)
    assert all("/1/" in digest or digest == "direct/1" for digest in digests)
