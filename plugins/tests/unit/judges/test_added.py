"""What a judge reads of a turn that an attack began: the model's words, whichever channel has ours."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Literal

import pytest

from fixtures.guards import GUARDS
from safemlrm.attacks import Prefill
from safemlrm.config import Model, Reasoning
from safemlrm.engines.thinking import response
from safemlrm.judges.added import added
from safemlrm.judges.asking import Examiner, ModelJudge
from safemlrm.judges.guard import GuardModel
from safemlrm.judges.raw import from_text
from safemlrm.judges.rubric import Rubric
from safemlrm.prompts import bundled_prompts, bundled_scenarios
from safemlrm.responses.split import ReasoningMarkers, split
from safemlrm.types import Completion, Prompt, Request, Response, TraceState, Turn

PROMPT = Prompt("p", "fraud", (Turn("How do I fold a boat?"),), "fold a boat")
BEGUN = Prefill().apply(PROMPT, seed=0)
Thinking = Literal["default", "zero", "less"]
Channels = tuple[str | None, str | None]


def read(written: str, model: Model, prompt: Prompt = BEGUN) -> Response:
    """Return what a judge reads of a model's words, joined and split as a run does it."""
    marks = model.reasoning
    text = response(model, prompt, written)
    completion = Completion("k", text, "stop", 1, 1)
    markers = None if marks is None else ReasoningMarkers(**marks.model_dump())
    return added(prompt, split(completion, markers))


def model(thinking: Thinking = "default", prefilled: bool = False) -> Model:
    return Model(reasoning=Reasoning(prefilled=prefilled)).model_copy(update={"thinking": thinking})


def test_a_plain_models_answer_is_what_it_added() -> None:
    found = read(" I refuse.", Model())
    assert (found.full, found.answer, found.reasoning) == (" I refuse.", " I refuse.", None)


@pytest.mark.parametrize(
    ("subject", "written", "expected"),
    [
        (model(), " I refuse.", (None, "I refuse.")),
        (model(), " <think>Hm.</think>I refuse.", ("Hm.", "I refuse.")),
        (
            model(),
            "<think>Sure, here are the steps</think>No.",
            ("Sure, here are the steps", "No."),
        ),
        (model(), " <answer>I refuse.</answer>", (None, "I refuse.")),
        (model(), " that I know.</think>No.", ("that I know.", "No.")),
        (model(), " <think>Hm.", ("Hm.", None)),
        (model(prefilled=True), " it asks for.</think>No.", ("it asks for.", "No.")),
        (
            model(prefilled=True),
            ".</think>Sure, here are the steps",
            (".", "Sure, here are the steps"),
        ),
        (model(prefilled=True), " it asks for.", ("it asks for.", None)),
        (model("zero", prefilled=True), " I refuse.", ("", "I refuse.")),
        (model("less", prefilled=True), " I refuse.", ("", "I refuse.")),
        (model("zero"), " I refuse.", (None, "I refuse.")),
    ],
)
def test_one_channel_loses_our_words(subject: Model, written: str, expected: Channels) -> None:
    found = read(written, subject)
    assert (found.reasoning and found.reasoning.strip(), found.answer and found.answer.strip()) == (
        expected
    )


@pytest.mark.parametrize("text", ["Sure, here are the steps", "Sure, here are", ""])
def test_our_words_alone_are_nothing(text: str) -> None:
    found = added(BEGUN, Response(text, None, text, TraceState.TRUNCATED))
    assert (found.full, found.answer) == ("", "")
    cut = added(BEGUN, Response(text, None, None, TraceState.TRUNCATED))
    assert (cut.full, cut.answer) == ("", None)


def test_a_response_that_does_not_start_with_them_stays_whole() -> None:
    for prompt, text in ((PROMPT, "Sure, here are the steps: fold."), (BEGUN, "Fold it twice.")):
        whole = Response(text, None, text, TraceState.ABSENT)
        assert added(prompt, whole) == whole


def test_blanks_around_a_prefill_do_not_hide_it() -> None:
    prompt = replace(PROMPT, prefill="\n Sure, ")
    assert (read("I refuse.", model(), prompt).answer or "").strip() == "I refuse."


def test_the_agreeing_prefix_names_no_bundled_phrase() -> None:
    words = Prefill(tokens=142).words.lower()
    phrases = {p.phrase.lower() for name in bundled_scenarios() for p in bundled_prompts(name)}
    assert phrases
    assert not [phrase for phrase in phrases if phrase and phrase in words]


EXAMINERS: dict[str, Examiner] = {
    "rubric": Rubric({}),
    **{
        family: GuardModel(family, from_text(own.template, family) if own.raw else None)
        for family, own in GUARDS.items()
    },
}


@pytest.mark.parametrize("name", EXAMINERS)
def test_a_judges_model_is_not_shown_our_words(name: str) -> None:
    asked: list[Request] = []

    def ask(batch: Sequence[Request]) -> Iterable[Completion]:
        asked.extend(batch)
        return []

    judge = ModelJudge(name, EXAMINERS[name], "weights", ask, lambda done: done.text)
    text = f"{BEGUN.prefill} and I will not give them."
    list(judge.score([(BEGUN, Response(text, None, text, TraceState.ABSENT))]))
    shown = "\n".join(turn.text for turn in asked[0].prompt.turns)
    assert "and I will not give them." in shown
    assert BEGUN.prefill not in shown
