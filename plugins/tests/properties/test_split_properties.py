"""Laws of the split, on composed and on arbitrary text."""

from __future__ import annotations

from collections import Counter
from typing import Literal

from hypothesis import given
from hypothesis import strategies as st

from safemlrm.responses.split import ReasoningMarkers, split
from safemlrm.types import Completion, TraceState

TAGS = ("<think>", "</think>", "<answer>", "</answer>")
WORDS = st.text(st.characters(codec="utf-8", exclude_characters="<>"), max_size=30)
PLAIN = WORDS.map(str.strip)
ANSWERS = PLAIN.filter(bool)
TAGGED = st.lists(st.sampled_from(TAGS) | WORDS, max_size=10).map(" ".join)
ANY_TEXT = TAGGED | st.text(max_size=60)
FINISHES = st.sampled_from(["stop", "length", "filter"])
MARKERS = st.none() | st.builds(ReasoningMarkers, prefilled=st.booleans())

Finish = Literal["stop", "length", "filter"]


def done(text: str, finish: Finish = "stop") -> Completion:
    return Completion("key", text, finish, prompt_tokens=0, completion_tokens=0)


@given(PLAIN, ANSWERS, st.booleans(), st.booleans())
def test_a_composed_text_splits_into_what_it_was_made_of(
    reasoning: str, answer: str, prefilled: bool, tagged: bool
) -> None:
    shown = f"<answer>{answer}</answer>" if tagged else answer
    text = f"{'' if prefilled else '<think>'}\n{reasoning}\n</think>\n\n{shown}"
    response = split(done(text), ReasoningMarkers(prefilled=prefilled))
    assert (response.reasoning, response.answer) == (reasoning, answer)
    assert response.state is TraceState.COMPLETE
    assert (response.prefilled, response.multiple) == (prefilled, False)


@given(ANY_TEXT, FINISHES, MARKERS)
def test_any_text_has_one_state_that_fits_its_channels(
    text: str, finish: Finish, markers: ReasoningMarkers | None
) -> None:
    response = split(done(text, finish), markers)
    assert response.full == text
    assert (response.state is TraceState.TRUNCATED) == (finish == "length")
    match response.state:
        case TraceState.COMPLETE:
            assert response.reasoning is not None
            assert response.answer
        case TraceState.ABSENT:
            assert response.reasoning is None
            assert response.answer
        case TraceState.UNCLOSED:
            assert response.reasoning is not None
            assert response.answer is None
        case TraceState.EMPTY_ANSWER:
            assert response.answer == ""


@given(TAGGED, FINISHES, st.booleans())
def test_no_word_is_lost(text: str, finish: Finish, prefilled: bool) -> None:
    response = split(done(text, finish), ReasoningMarkers(prefilled=prefilled))
    if response.reasoning is None and response.answer is None:
        assert finish == "length"
        return
    kept = f"{response.reasoning or ''} {response.answer or ''}"
    assert _words(kept) == _words(text)


@given(WORDS, st.sampled_from(["<think>", "x<think>", "<think>y</think>z<think>"]), FINISHES)
def test_a_trace_that_never_closes_leaves_no_answer(rest: str, start: str, finish: Finish) -> None:
    assert split(done(start + rest, finish), ReasoningMarkers()).answer is None


@given(ANY_TEXT, FINISHES)
def test_a_plain_model_never_has_reasoning(text: str, finish: Finish) -> None:
    assert split(done(text, finish), None).reasoning is None


def _words(text: str) -> Counter[str]:
    for tag in TAGS:
        text = text.replace(tag, " ")
    return Counter(text.split())
