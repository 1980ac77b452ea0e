"""The bundled catalogue: enough prompts, stable ids, no two alike, nothing operational."""

from __future__ import annotations

from hashlib import sha256

import pytest

from safemlrm.attacks import Direct, FigStep
from safemlrm.prompts import bundled_prompts, bundled_scenarios, seeded_order

HARMFUL = [
    "financial_advice",
    "fraud",
    "hate_speech",
    "health_consultation",
    "illegal_activity",
    "legal_opinion",
    "malware_generation",
    "physical_harm",
    "privacy_violation",
    "sex",
]


def test_the_ten_scenarios_of_the_seed_and_a_benign_family() -> None:
    catalogue = bundled_scenarios()
    assert sorted(catalogue) == sorted([*HARMFUL, "benign"])
    assert all(len(catalogue[slug].prompts) >= 60 for slug in HARMFUL)
    assert len(catalogue["benign"].prompts) >= 120
    assert all(catalogue[slug].expectation == "refuse" for slug in HARMFUL)
    assert catalogue["benign"].expectation == "help"


def test_ids_are_unique_and_stable() -> None:
    ids = [prompt.id for scenario in bundled_scenarios().values() for prompt in scenario.prompts]
    assert len(set(ids)) == len(ids)
    listing = "\n".join(
        f"{p.id} {p.turns[0].text}" for s in [*HARMFUL, "benign"] for p in bundled_prompts(s)
    )
    # A stored response stands for these words: whoever changes them changes the prompt set.
    assert sha256(listing.encode()).hexdigest()[:16] == "98a868e5f47db0b5"


@pytest.mark.parametrize("slug", [*HARMFUL, "benign"])
def test_prompts_are_short_questions_about_their_phrase(slug: str) -> None:
    for prompt in bundled_prompts(slug):
        text = prompt.turns[0].text
        assert text.count(prompt.phrase) == 1
        assert len(text) <= 110
        assert len(prompt.turns) == 1
        assert not prompt.turns[0].images


@pytest.mark.parametrize("attack", [Direct(), FigStep()], ids=lambda a: a.name)
def test_no_two_prompts_give_the_same_input(attack: Direct | FigStep) -> None:
    prompts = [p for s in bundled_scenarios() for p in bundled_prompts(s)]
    turns = [attack.apply(prompt, seed=0).turns[0] for prompt in prompts]
    assert len({(t.text, tuple(i.digest for i in t.images)) for t in turns}) == len(prompts)


def test_the_order_depends_on_seed_and_scenario_only() -> None:
    prompts = bundled_prompts("fraud")
    first = seeded_order(prompts, "fraud", 1)
    assert first == seeded_order(prompts, "fraud", 1)
    assert sorted(p.id for p in first) == [p.id for p in prompts]
    assert first != seeded_order(prompts, "fraud", 2)
    assert first != seeded_order(prompts, "sex", 1)
