"""What a turn says before the model goes on, and traces that are told to wait."""

from __future__ import annotations

import pytest

from safemlrm.config import Model, Reasoning
from safemlrm.engines.thinking import LINE, Draft, begun, response, think_more
from safemlrm.responses.split import ReasoningMarkers, split
from safemlrm.types import Completion, Prompt, Request, Turn

PLAIN = Prompt("p", "fraud", (Turn("How?"),), "boat")
FILLED = Prompt("p", "fraud", (Turn("How?"),), "boat", prefill="Sure,")


def model(thinking: str = "default", prefilled: bool = False, rounds: int = 10) -> Model:
    settings = {"thinking": thinking, "thinking_rounds": rounds}
    return Model(reasoning=Reasoning(prefilled=prefilled)).model_copy(update=settings)


@pytest.mark.parametrize(
    ("thinking", "prefilled", "start"),
    [
        ("default", False, ""),
        ("more", False, ""),
        ("zero", False, "<think>\n\n</think>\n\n"),
        ("zero", True, "\n</think>\n\n"),
        ("less", False, f"<think>\n{LINE}\n</think>\n\n"),
        ("less", True, f"{LINE}\n</think>\n\n"),
    ],
)
def test_a_turn_begins_with_the_trace_and_then_the_prefill(
    thinking: str, prefilled: bool, start: str
) -> None:
    assert begun(model(thinking, prefilled), PLAIN) == start
    assert begun(model(thinking, prefilled), FILLED) == start + "Sure,"


@pytest.mark.parametrize("thinking", ["zero", "less"])
@pytest.mark.parametrize("prefilled", [False, True])
def test_a_planted_trace_is_not_scored_as_the_models(thinking: str, prefilled: bool) -> None:
    subject = model(thinking, prefilled)
    text = response(subject, FILLED, " here it is.")
    markers = ReasoningMarkers(prefilled=prefilled)
    found = split(Completion("k", text, "stop", 1, 1), markers)
    assert found.answer == "Sure, here it is."
    assert not found.reasoning


def test_the_prefill_is_part_of_a_response_but_never_all_of_it() -> None:
    assert response(Model(), FILLED, " here.") == "Sure, here."
    assert response(Model(), FILLED, " \n") == ""
    assert response(model("zero", True), PLAIN, "") == ""


def asked(pieces: dict[str, list[str]], rounds: int, budget: int = 100) -> dict[str, Completion]:
    """Answer with the given stretches, a token a word; the last one is what is left."""
    requests = [Request(key, PLAIN, 5) for key in pieces]
    seen: list[tuple[str, int]] = []

    def go_on(drafts: list[Draft], stops: list[bool]) -> list[Completion]:
        seen.extend((draft.request.key, draft.seed) for draft in drafts)
        made = []
        for draft, stop in zip(drafts, stops, strict=True):
            text = pieces[draft.request.key][draft.waits]
            if stop and "</think>" in text:
                text = text[: text.index("</think>") + len("</think>")]
            words = text.split()[: budget - draft.spent]
            cut = len(words) < len(text.split())
            finish = "length" if cut else "stop"
            prompt_tokens = 10 + len(draft.written.split())
            made.append(
                Completion(draft.request.key, " ".join(words), finish, prompt_tokens, len(words))  # type: ignore[arg-type]  # one of two literals
            )
        return made

    found = think_more(model("more", rounds=rounds), requests, budget, go_on)
    assert [completion.key for completion in found] == list(pieces)
    assert len(set(seen)) == len(seen)
    return {completion.key: completion for completion in found}


def test_a_closing_trace_goes_on_until_the_rounds_are_spent() -> None:
    found = asked({"k": ["<think> a </think> A", "b </think> B", "c </think> C"]}, rounds=2)["k"]
    assert found.text == "<think> a\nWaitb\nWaitc </think> C"
    assert (found.finish, found.prompt_tokens, found.completion_tokens) == ("stop", 10, 8)


def test_a_response_without_a_trace_is_left_alone() -> None:
    found = asked({"plain": ["No."], "traced": ["a </think> A", "b </think> B"]}, rounds=1)
    assert found["plain"].text == "No."
    assert found["traced"].text == "a\nWaitb </think> B"


def test_the_token_budget_ends_the_thinking() -> None:
    found = asked({"k": ["a b </think> A", "c d </think> C"]}, rounds=5, budget=5)["k"]
    assert (found.text, found.finish, found.completion_tokens) == ("a b\nWaitc d", "length", 5)
    found = asked({"k": ["a b </think> A"]}, rounds=5, budget=3)["k"]
    assert (found.text, found.completion_tokens) == ("a b </think>", 3)
