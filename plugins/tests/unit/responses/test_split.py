"""What becomes of a completion's reasoning and answer."""

from __future__ import annotations

from typing import Literal

import pytest

from safemlrm.responses.split import ReasoningMarkers, split
from safemlrm.types import Completion, Response, TraceState

MARKERS = ReasoningMarkers()
PREFILLED = ReasoningMarkers(prefilled=True)
S = TraceState

Finish = Literal["stop", "length", "filter"]


def done(text: str, finish: Finish = "stop") -> Completion:
    return Completion("key", text, finish, prompt_tokens=1, completion_tokens=1)


def channels(response: Response) -> tuple[TraceState, str | None, str | None]:
    return response.state, response.reasoning, response.answer


@pytest.mark.parametrize(
    ("text", "state", "reasoning", "answer"),
    [
        ("<think>r</think>a", S.COMPLETE, "r", "a"),
        ("<think>\nr\n</think>\n\n<answer>a</answer>\n", S.COMPLETE, "r", "a"),
        ("<think></think>a", S.COMPLETE, "", "a"),
        ("a", S.ABSENT, None, "a"),
        ("<answer>a</answer>", S.ABSENT, None, "a"),
        ("<think>r", S.UNCLOSED, "r", None),
        ("<think>", S.UNCLOSED, "", None),
        ("<think>r<answer>a</answer>", S.UNCLOSED, "r<answer>a</answer>", None),
        ("<think>r</think>", S.EMPTY_ANSWER, "r", ""),
        ("<think>r</think> <answer> </answer>", S.EMPTY_ANSWER, "r", ""),
        ("", S.EMPTY_ANSWER, None, ""),
        (" \n", S.EMPTY_ANSWER, None, ""),
    ],
)
def test_each_state(
    text: str, state: TraceState, reasoning: str | None, answer: str | None
) -> None:
    assert channels(split(done(text), MARKERS)) == (state, reasoning, answer)


@pytest.mark.parametrize(
    ("text", "answer"),
    [
        ("before<think>r</think>a", "before\na"),
        ("<think>r</think>before<answer>a</answer>after", "before\na\nafter"),
        ("<think>r</think><answer>a", "a"),
        ("<think>r</think>a</answer>", "a"),
        ("<think>r</think><answer><answer>a</answer></answer>", "a"),
        ("<think>r</think>text<answer></answer>", "text"),
    ],
)
def test_what_the_user_sees_is_the_answer(text: str, answer: str) -> None:
    assert channels(split(done(text), MARKERS)) == (S.COMPLETE, "r", answer)


def test_several_traces_are_joined_and_the_text_between_them_was_shown() -> None:
    response = split(done("<think>r1</think>x<think>r2</think>a"), MARKERS)
    assert channels(response) == (S.COMPLETE, "r1\nr2", "x\na")
    assert response.multiple


def test_a_continued_trace_ends_at_its_last_close() -> None:
    response = split(done("<think>r1</think>Wait, r2</think>a"), MARKERS)
    assert channels(response) == (S.COMPLETE, "r1\nWait, r2", "a")
    assert response.multiple
    assert not response.prefilled


def test_an_open_tag_inside_a_trace_is_its_text() -> None:
    response = split(done("<think>the tag <think> opens</think>a"), MARKERS)
    assert channels(response) == (S.COMPLETE, "the tag <think> opens", "a")
    assert not response.multiple


def test_a_second_trace_without_an_end_leaves_no_answer_and_loses_no_text() -> None:
    response = split(done("<think>r1</think>x<think>r2"), MARKERS)
    assert channels(response) == (S.UNCLOSED, "r1\nx\nr2", None)


@pytest.mark.parametrize("markers", [MARKERS, PREFILLED])
def test_a_close_without_an_open_ends_a_prefilled_trace(markers: ReasoningMarkers) -> None:
    response = split(done("r</think>a"), markers)
    assert channels(response) == (S.COMPLETE, "r", "a")
    assert response.prefilled
    assert not response.multiple


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("r", (S.UNCLOSED, "r", None)),
        ("<think>r</think>a", (S.COMPLETE, "r", "a")),
        ("\n<think>r", (S.UNCLOSED, "r", None)),
        ("", (S.EMPTY_ANSWER, None, "")),
    ],
)
def test_a_prefilled_text_starts_inside_the_trace(
    text: str, expected: tuple[TraceState, str | None, str | None]
) -> None:
    assert channels(split(done(text), PREFILLED)) == expected


@pytest.mark.parametrize(
    ("text", "reasoning", "answer"),
    [
        ("<think>r</think>a", "r", "a"),
        ("<think>r</think>", "r", ""),
        ("<think>r", "r", None),
        ("r</think>a", "r", "a"),
        ("<think>r</thi", "r</thi", None),
        ("<answer>a", None, "a"),
        ("trace or answer", None, None),
    ],
)
def test_a_truncated_text_keeps_only_the_channels_its_markers_tell_apart(
    text: str, reasoning: str | None, answer: str | None
) -> None:
    assert channels(split(done(text, "length"), MARKERS)) == (S.TRUNCATED, reasoning, answer)


@pytest.mark.parametrize(
    ("text", "finish", "state", "answer"),
    [
        (" <think>a</think>\n", "stop", S.ABSENT, " <think>a</think>\n"),
        ("a", "filter", S.ABSENT, "a"),
        ("a", "length", S.TRUNCATED, "a"),
        (" ", "stop", S.EMPTY_ANSWER, ""),
        ("", "filter", S.EMPTY_ANSWER, ""),
    ],
)
def test_a_model_without_markers_answers_with_its_whole_text(
    text: str, finish: Finish, state: TraceState, answer: str
) -> None:
    assert channels(split(done(text, finish), None)) == (state, None, answer)


@pytest.mark.parametrize(
    ("text", "state"),
    [("", S.EMPTY_ANSWER), ("<think>r", S.UNCLOSED), ("<think>r</think>a", S.COMPLETE)],
)
def test_a_withheld_text_is_split_like_a_finished_one(text: str, state: TraceState) -> None:
    assert split(done(text, "filter"), MARKERS).state is state


def test_one_tag_may_open_and_close() -> None:
    markers = ReasoningMarkers(open="***", close="***", answer_open=None, answer_close=None)
    assert channels(split(done("***r***<answer>a"), markers)) == (S.COMPLETE, "r", "<answer>a")


def test_full_is_the_raw_text() -> None:
    text = " <think>r</think>\n<answer>a</answer> "
    assert split(done(text), MARKERS).full == text


@pytest.mark.parametrize("blank", ["", "  "])
def test_a_blank_tag_is_refused(blank: str) -> None:
    with pytest.raises(ValueError, match="tags that are not blank"):
        ReasoningMarkers(open=blank)
