"""The chat API, both ways: what is sent, and how what comes back is read."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from safemlrm.config import Model
from safemlrm.engines.chat import (
    Malformed,
    body_of,
    complaint_of,
    is_filter,
    media_type,
    reply_of,
)
from safemlrm.engines.identity import decoding_of
from safemlrm.errors import EngineError
from safemlrm.responses.split import ReasoningMarkers, split
from safemlrm.types import Completion, Image, Prompt, Request, TraceState, Turn

PNG = b"\x89PNG\r\n\x1a\n rest"
JPEG = b"\xff\xd8\xff\xe0 rest"


def model_of(**keys: object) -> Model:
    return Model.model_validate({"engine": "openai", "url": "http://h/v1", "model": "m", **keys})


def request_of(*turns: Turn, prefill: str = "", seed: int = 7) -> Request:
    given = turns or (Turn("How?"),)
    return Request("key", Prompt("p1", "fraud", given, "", prefill=prefill), seed)


def body(model: Model, request: Request) -> dict[str, Any]:
    return body_of(model, decoding_of(model, Path()), request)


def read(
    model: Model, finish: object = "stop", request: Request | None = None, **fields: Any
) -> Completion:
    choice = {"finish_reason": finish, "message": {"role": "assistant", **fields}}
    usage = {"prompt_tokens": 3, "completion_tokens": 4}
    data = {"choices": [choice], "usage": usage}
    return reply_of(model, request or request_of(), data).completion


# -- what is sent


def test_a_plain_question() -> None:
    sent = body(model_of(system="Be kind.", max_new_tokens=9, temperature=0.5), request_of())
    assert sent == {
        "model": "m",
        "messages": [
            {"role": "system", "content": "Be kind."},
            {"role": "user", "content": "How?"},
        ],
        "max_tokens": 9,
        "temperature": 0.5,
        "top_p": 1.0,
        "seed": 7,
    }


def test_sampling_that_is_not_part_of_the_api_is_sent_only_where_a_user_set_it() -> None:
    sent = body(model_of(top_k=5, min_p=0.1, top_p=0.9), request_of())
    assert (sent["top_k"], sent["min_p"], sent["top_p"]) == (5, 0.1, 0.9)
    assert not {"top_k", "min_p"} & body(model_of(), request_of()).keys()


def test_pictures_come_before_the_text_with_their_own_media_type() -> None:
    sent = body(model_of(), request_of(Turn("Look.", (Image(PNG), Image(JPEG)))))
    [message] = sent["messages"]
    kinds = [part["type"] for part in message["content"]]
    assert kinds == ["image_url", "image_url", "text"]
    urls = [part["image_url"]["url"] for part in message["content"][:2]]
    assert urls[0].startswith("data:image/png;base64,iVBORw0KGgo")
    assert urls[1].startswith("data:image/jpeg;base64,/9j/")


def test_a_picture_of_no_known_format_names_its_prompt() -> None:
    with pytest.raises(EngineError, match="prompt p1: a picture is in no known format"):
        body(model_of(), request_of(Turn("Look.", (Image(b"?"),))))


def test_media_types() -> None:
    heads = [b"GIF89a", b"RIFF\0\0\0\0WEBP", b"BM00", b"II*\0", b"MM\0*", b""]
    kinds = [media_type(Image(head)).removeprefix("image/") for head in heads]
    assert kinds == ["gif", "webp", "bmp", "tiff", "tiff", ""]


def test_seeds_fit_into_31_bits_and_differ() -> None:
    seeds = {body(model_of(), request_of(seed=seed))["seed"] for seed in (2**59 + 1, 2**59 + 2)}
    assert len(seeds) == 2
    assert max(seeds) < 2**31


def test_a_turn_that_is_begun_is_continued() -> None:
    model = model_of(reasoning={}, thinking="zero", continue_turn=True)
    sent = body(model, request_of(prefill="Sure, "))
    assert sent["messages"][-1] == {
        "role": "assistant",
        "content": "<think>\n\n</think>\n\nSure, ",
    }
    assert (sent["continue_final_message"], sent["add_generation_prompt"]) == (True, False)
    assert "continue_final_message" not in body(model_of(), request_of())


# -- what comes back


@pytest.mark.parametrize("field", ["reasoning_content", "reasoning"])
@pytest.mark.parametrize("prefilled", [False, True])
def test_a_trace_the_server_parsed_splits_like_one_with_tags(field: str, prefilled: bool) -> None:
    model = model_of(reasoning={"prefilled": prefilled})
    markers = ReasoningMarkers(prefilled=prefilled)
    fields: dict[str, Any] = {field: "Hm."}
    parsed = split(read(model, content="No.", **fields), markers)
    inline = "Hm.</think>No." if prefilled else "<think>Hm.</think>No."
    tagged = split(read(model, content=inline), markers)
    assert (parsed.reasoning, parsed.answer, parsed.state) == ("Hm.", "No.", TraceState.COMPLETE)
    assert (tagged.reasoning, tagged.answer, tagged.state) == ("Hm.", "No.", TraceState.COMPLETE)
    assert not parsed.multiple


def test_a_trace_with_markers_of_the_models_own() -> None:
    model = model_of(reasoning={"open": "<t>", "close": "</t>"})
    assert read(model, content="No.", reasoning_content="Hm.").text == "<t>Hm.</t>No."


def test_a_trace_that_was_cut_off_is_not_closed_for_the_model() -> None:
    cut = read(model_of(reasoning={}), "length", content=None, reasoning_content="Hm")
    assert (cut.text, cut.finish) == ("<think>Hm", "length")
    assert split(cut, ReasoningMarkers()).state is TraceState.TRUNCATED


def test_a_trace_without_an_answer_has_an_empty_one() -> None:
    found = split(read(model_of(reasoning={}), content=None, reasoning="Hm"), ReasoningMarkers())
    assert (found.reasoning, found.state) == ("Hm", TraceState.EMPTY_ANSWER)


def test_a_trace_of_a_model_without_markers_is_one_clear_error() -> None:
    with pytest.raises(EngineError, match="the server returns reasoning, but safety"):
        read(model_of(), content="No.", reasoning_content="Hm.")
    assert read(model_of(), content="No.", reasoning_content="").text == "No."
    assert read(model_of(), content="No.", reasoning=None).text == "No."


def test_what_follows_a_trace_that_we_closed_is_no_trace_even_if_a_parser_says_so() -> None:
    model = model_of(reasoning={}, thinking="zero", continue_turn=True)
    assert read(model, content=None, reasoning_content="I will not.").text == "I will not."


def test_a_prefill_stands_in_front_of_what_the_model_adds() -> None:
    model, request = model_of(continue_turn=True), request_of(prefill="Sure, ")
    assert read(model, request=request, content="no.").text == "Sure, no."
    assert read(model, request=request, content=" ").text == ""


def test_a_refusal_is_the_text_of_the_response() -> None:
    assert read(model_of(), content=None, refusal="I cannot.").text == "I cannot."
    assert read(model_of(), content="Well.", refusal="I cannot.").text == "Well.\nI cannot."


def test_content_may_come_in_parts() -> None:
    parts = [{"type": "text", "text": "I "}, {"type": "text", "text": "cannot."}]
    assert read(model_of(), content=parts).text == "I cannot."


@pytest.mark.parametrize(
    ("reason", "finish"),
    [
        ("stop", "stop"),
        ("eos_token", "stop"),
        (None, "stop"),
        ("length", "length"),
        ("max_tokens", "length"),
        ("SAFETY", "filter"),
        ("RECITATION", "filter"),
    ],
)
def test_finish_reasons(reason: str | None, finish: str) -> None:
    assert read(model_of(), reason, content="x").finish == finish


def test_a_response_of_which_nobody_knows_whether_it_is_whole_is_not_judged() -> None:
    with pytest.raises(EngineError, match='ended a response by "overheated", which may be half of'):
        read(model_of(), "overheated", content="I cannot")


def test_half_a_character_is_replaced_since_no_store_can_keep_it() -> None:
    assert read(model_of(), content="a \ud83d b \U0001f600").text == "a \ufffd b \U0001f600"


def test_a_count_that_no_store_can_keep_is_cut() -> None:
    usage = {"prompt_tokens": 10**30, "completion_tokens": -1}
    answer = {"choices": [{"message": {"content": "x"}}], "usage": usage}
    found = reply_of(model_of(), request_of(Turn("q")), answer).completion
    assert (found.prompt_tokens, found.completion_tokens) == (2**31 - 1, 0)


def test_half_a_response_before_a_filter_is_not_kept_as_one() -> None:
    found = read(model_of(), "content_filter", content="I cannot help with")
    assert (found.text, found.finish) == ("", "filter")


@pytest.mark.parametrize(
    "data",
    [
        None,
        [],
        {},
        {"choices": []},
        {"choices": [1]},
        {"choices": [{"finish_reason": "stop"}]},
        {"choices": [{"finish_reason": "stop", "message": {"content": 5}}]},
        {"choices": [{"finish_reason": "abort", "message": {"content": "half"}}]},
        {"choices": [{"finish_reason": "insufficient_system_resource", "message": {}}]},
    ],
)
def test_what_is_no_answer_is_malformed(data: object) -> None:
    with pytest.raises(Malformed):
        reply_of(model_of(), request_of(), data)


@pytest.mark.parametrize(
    "data",
    [
        {"error": {"code": "content_filter", "message": "m"}},
        {"error": {"code": "400", "innererror": {"code": "ResponsibleAIPolicyViolation"}}},
        {"error": {"type": "content_policy_violation"}},
        {"code": "data_inspection_failed"},
    ],
)
def test_codes_of_filters(data: object) -> None:
    assert is_filter(data)


def test_other_errors_are_no_filters() -> None:
    assert not is_filter(
        {"error": {"code": "context_length_exceeded", "message": "content_filter"}}
    )
    assert not is_filter("content_filter")


def test_what_an_error_says_leaves_out_what_it_repeats() -> None:
    validation = {"detail": [{"loc": ["body"], "msg": "too long", "input": "the prompt"}]}
    assert complaint_of(validation) == "too long"
    assert complaint_of({"error": {"message": "no"}}) == "no"
    assert complaint_of({"error": "no"}) == "no"
    assert complaint_of({"message": "no"}) == "no"
    assert complaint_of([1]) == ""
