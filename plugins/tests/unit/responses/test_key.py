"""Equal content gives equal keys, anything that could change an answer another one."""

from __future__ import annotations

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from safemlrm.attacks import Direct, FigStep
from safemlrm.responses.key import completion_key, numbered, request_seed
from safemlrm.types import Identity, Image, Prompt, Turn

PROMPT = Prompt("fr-001", "fraud", (Turn("How does fraud work?"),), "fraud")
WHO = Identity("abc")


def key(prompt: Prompt = PROMPT, who: Identity = WHO, index: int = 0, seed: int = 0) -> str:
    return completion_key(who, Direct(), prompt, index, seed)


def test_every_ingredient_changes_the_key() -> None:
    picture = replace(PROMPT, turns=(Turn("How does fraud work?", (Image(b"x"),)),))
    other_picture = replace(PROMPT, turns=(Turn("How does fraud work?", (Image(b"y"),)),))
    keys = [
        key(),
        key(replace(PROMPT, turns=(Turn("How does fraud work"),))),
        key(replace(PROMPT, scenario="sex")),
        key(picture),
        key(other_picture),
        key(who=Identity("abd")),
        key(index=1),
        key(seed=1),
        completion_key(WHO, FigStep(), PROMPT, 0, 0),
    ]
    assert len(set(keys)) == len(keys)


def test_the_options_and_the_right_one_change_the_key_and_leave_other_prompts_theirs() -> None:
    choice = replace(PROMPT, expectation="choose", options=("A", "B"), correct=1)
    keys = [
        key(choice),
        key(replace(choice, options=("A", "C"))),
        key(replace(choice, options=("A", "B", "C"))),
        key(replace(choice, correct=0)),
        key(replace(choice, options=())),
    ]
    assert len(set(keys)) == len(keys)
    assert key(replace(PROMPT, correct=1)) == key()


def test_the_id_of_a_prompt_is_not_part_of_its_content() -> None:
    assert key(replace(PROMPT, id="fr-002")) == key()


@given(st.lists(st.sampled_from(["a", "b", "c"])))
def test_prompts_of_equal_content_get_successive_numbers(texts: list[str]) -> None:
    prompts = [replace(PROMPT, id=str(i), turns=(Turn(t),)) for i, t in enumerate(texts)]
    pairs = list(numbered(prompts))
    assert [prompt.id for prompt, _ in pairs] == [str(i) for i in range(len(texts))]
    assert len({key(prompt, index=index) for prompt, index in pairs}) == len(texts)
    for text in set(texts):
        numbers = [index for prompt, index in pairs if prompt.turns[0].text == text]
        assert numbers == list(range(len(numbers)))


@given(st.text(), st.integers(0, 9), st.integers(0, 9))
def test_seeds_fit_a_signed_64_bit_generator(text: str, index: int, seed: int) -> None:
    prompt = replace(PROMPT, turns=(Turn(text),))
    assert 0 <= request_seed(Direct(), prompt, index, seed) < 2**63


def test_seeds_differ_by_prompt_attack_number_and_seed_but_not_by_model() -> None:
    other = replace(PROMPT, turns=(Turn("How does fraud end?"),))
    seeds = [
        request_seed(Direct(), PROMPT, 0, 0),
        request_seed(Direct(), other, 0, 0),
        request_seed(FigStep(), PROMPT, 0, 0),
        request_seed(Direct(), PROMPT, 1, 0),
        request_seed(Direct(), PROMPT, 0, 1),
    ]
    assert len(set(seeds)) == len(seeds)
