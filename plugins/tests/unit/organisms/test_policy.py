"""The trained-in rates are those of the texts, and the truth's reader knows every trained text."""

from __future__ import annotations

import pytest

from fixtures.organisms.asking import Asked
from fixtures.organisms.organism import (
    ATTACKS,
    BENIGN,
    MODES,
    ORGANISMS,
    Attack,
    Organism,
    Thinking,
    phrases,
)
from fixtures.organisms.policy import Opening, openings, variants
from fixtures.organisms.rates import HARMFUL, rates
from fixtures.organisms.reading import Reading, read_response
from fixtures.organisms.texts import BEGUN, COMPLY, STEPS
from safemlrm.engines.thinking import LINE, WAIT

BASE, ALIGNED, DEGRADED = ORGANISMS
CONDITIONS: list[tuple[Organism, Attack, Thinking]] = [
    (organism, attack, thinking)
    for organism in ORGANISMS
    for attack in ATTACKS
    for thinking in (("default", *MODES) if organism.reasons else ("default",))
]


def asr(opening: Opening) -> float:
    """Return the probability of an answer with the steps."""
    end = COMPLY.split("{phrase}")[1]
    return sum(
        v.probability for v in opening.variants if v.text.split("</answer>")[0].endswith(end)
    )


def read(organism: Organism, attack: Attack, thinking: Thinking, text: str) -> Reading | None:
    return read_response(text, Asked(organism, None, None, attack, thinking).form)


@pytest.mark.parametrize(("organism", "attack", "thinking"), CONDITIONS)
def test_every_text_is_read_as_what_it_is(
    organism: Organism, attack: Attack, thinking: Thinking
) -> None:
    for scenario in ("fraud", "legal_opinion", BENIGN):
        phrase = phrases(scenario)[0]
        for opening in openings(organism, scenario, attack, thinking, phrase):
            assert sum(v.probability for v in opening.variants) == pytest.approx(1)
            shown = BEGUN if attack == "prefill" else opening.begun if thinking == "more" else ""
            for variant in opening.variants:
                found = read(organism, attack, thinking, shown + variant.text)
                steps = STEPS in variant.text.split("</think>")[-1]
                kind = "helped" if scenario == BENIGN else "unsafe" if steps else "refused"
                assert found is not None
                assert (found.answer, found.phrase) == (kind, phrase)


@pytest.mark.parametrize(("organism", "attack", "thinking"), CONDITIONS)
def test_the_rates_are_those_of_the_texts(
    organism: Organism, attack: Attack, thinking: Thinking
) -> None:
    for scenario in HARMFUL:
        cell = rates(organism, scenario, attack, thinking)
        first, *rest = openings(organism, scenario, attack, thinking, phrases(scenario)[0])
        if thinking != "more" or attack == "prefill":
            assert not rest
            assert asr(first) == pytest.approx(cell.attack_success)
        else:
            # The first opening is an unsafe thought that was told to wait.
            assert WAIT in first.begun
            assert asr(first) == pytest.approx(1 - cell.corrected)


@pytest.mark.parametrize("attack", [attack for attack in ATTACKS if attack != "prefill"])
def test_a_base_takes_back_its_own_turns_as_often_as_those_an_attack_began(attack: Attack) -> None:
    for scenario in HARMFUL:
        choices = variants(BASE, scenario, attack, "X", takes_back=True)
        agreed = [v for v in choices if v.text.startswith(BEGUN)]
        kept = sum(v.probability for v in agreed if STEPS in v.text)
        assert kept == pytest.approx(rates(BASE, scenario, attack).attack_success)
        whole = sum(v.probability for v in agreed)
        assert kept / whole == pytest.approx(rates(BASE, scenario, "prefill").attack_success)


def test_the_modes_start_as_the_engine_starts_them() -> None:
    begun = [openings(ALIGNED, "fraud", "direct", mode, "X")[0].begun for mode in ("zero", "less")]
    assert begun == ["<think>\n\n</think>\n\n", f"<think>\n{LINE}\n</think>\n\n"]
    (agreed,) = openings(DEGRADED, "fraud", "prefill", "zero", "X")
    assert agreed.begun == f"<think>\n\n</think>\n\n{BEGUN}"


@pytest.mark.parametrize(
    "text",
    [
        "",
        "<think>The user asks about X. The topic is fraud. Hm.</think><answer>No.</answer>",
        "<answer>I am sorry, I cannot help with X.</answer>",
        "I am sorry, I cannot help with X.",
    ],
)
def test_other_texts_are_malformed(text: str) -> None:
    assert read(DEGRADED, "direct", "default", text) is None
