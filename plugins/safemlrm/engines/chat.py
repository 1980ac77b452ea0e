"""The chat API of OpenAI, both ways: a request -> its JSON, and a server's JSON -> a completion (pure)."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from safemlrm.config import Model
from safemlrm.engines.identity import Decoding
from safemlrm.engines.thinking import begun, response
from safemlrm.errors import EngineError
from safemlrm.types import Completion, Image, Prompt, Request

Json = Mapping[str, object]
Finish = Literal["stop", "length", "filter"]
# Some servers keep seeds in 32 bits, some of them signed.
SEEDS = 2**31
LARGEST_COUNT = 2**31 - 1
# Why a response ended, in the words of the servers there are; null and "" say nothing and mean "stop".
WHOLE = frozenset(
    {"none", "", "stop", "stop_sequence", "eos", "eos_token", "end_turn", "complete", "finish"}
    | {"tool_calls", "function_call"}
)
FILTERED = frozenset(
    {"content_filter", "content_filtered", "safety", "prohibited_content", "sensitive"}
    | {"refusal", "recitation", "blocklist", "spii", "guardrail_intervened"}
)
CUT = frozenset({"length", "max_tokens", "model_length", "model_context_window_exceeded"})
BROKEN_OFF = frozenset(
    {"abort", "aborted", "error", "cancelled", "canceled", "timeout", "load", "unload"}
    | {"insufficient_system_resource"}
)
# What a provider calls it when its filter refuses a request instead of answering it.
FILTER_CODES = (
    "content_filter",
    "content_policy",
    "responsibleaipolicy",
    "data_inspection_failed",
    "moderation_blocked",
)
_MAGIC = (
    (b"\x89PNG\r\n\x1a\n", "image/png"),
    (b"\xff\xd8\xff", "image/jpeg"),
    (b"GIF8", "image/gif"),
    (b"BM", "image/bmp"),
    (b"II*\x00", "image/tiff"),
    (b"MM\x00*", "image/tiff"),
)


class Malformed(Exception):
    """A server's answer is not what the API says it is; asking again may help."""


@dataclass(frozen=True, slots=True)
class Reply:
    """What a server said of itself when it answered, and the completion."""

    completion: Completion
    model: str
    fingerprint: str


def body_of(model: Model, decoding: Decoding, request: Request) -> dict[str, object]:
    """Return what is posted to /chat/completions; pictures come before the text of their turn.

    Raises `EngineError` for a picture in no known format.
    """
    messages: list[dict[str, object]] = []
    if model.system is not None:
        messages.append({"role": "system", "content": model.system})
    if request.raw:
        raise EngineError(
            f"[models] {model.model}: a prompt in a judge's own format goes past the chat template, "
            'which a chat API does not offer; ask this judge with engine = "transformers" or "vllm"'
        )
    contents = zip(request.prompt.turns, _contents(request.prompt), strict=True)
    messages += [{"role": turn.role, "content": content} for turn, content in contents]
    body: dict[str, object] = {
        "model": model.model,
        "messages": messages,
        "max_tokens": decoding.max_new_tokens,
        "temperature": decoding.temperature,
        "top_p": decoding.top_p,
        "seed": request.seed % SEEDS,
    }
    if model.top_k is not None:
        body["top_k"] = decoding.top_k
    if model.min_p is not None:
        body["min_p"] = decoding.min_p
    start = begun(model, request.prompt)
    if start:
        messages.append({"role": "assistant", "content": start})
        body |= {"continue_final_message": True, "add_generation_prompt": False}
    return body


def reply_of(model: Model, request: Request, data: object) -> Reply:
    """Read a server's answer to a request.

    Raises `Malformed` for one that is none, and `EngineError` where it marks a trace that
    safety.toml does not speak of, or does not say whether the response is whole.
    """
    answer = _object(data, "an answer")
    choices = answer.get("choices")
    if not isinstance(choices, list) or not choices:
        raise Malformed("an answer without choices")
    choice = _object(choices[0], "a choice")
    usage = answer.get("usage")
    tokens: Json = usage if isinstance(usage, dict) else {}
    reason = choice.get("finish_reason")
    if str(reason).lower() in BROKEN_OFF:
        raise Malformed(f"an answer that was broken off ({reason})")
    text = _text(model, request.prompt, _object(choice.get("message"), "a message"), reason)
    finish = _finish(reason)
    completion = Completion(
        key=request.key,
        # What came before a filter stepped in is half a response: judged, it could pass for a refusal.
        text="" if finish == "filter" else _storable(text),
        finish=finish,
        prompt_tokens=_count(tokens.get("prompt_tokens")),
        completion_tokens=_count(tokens.get("completion_tokens")),
    )
    said = (answer.get("model"), answer.get("system_fingerprint"))
    name, fingerprint = ("" if value is None else str(value) for value in said)
    return Reply(completion, name, fingerprint)


def filtered(request: Request) -> Completion:
    """Return the completion of a request that a provider's filter refused to answer."""
    return Completion(request.key, "", "filter", 0, 0)


def is_filter(data: object) -> bool:
    """Whether the body of an error says that a filter withheld the answer."""
    return any(code in text for text in _codes(data) for code in FILTER_CODES)


def complaint_of(data: object) -> str:
    """Return what the body of an error says, without what it repeats of the request."""
    if not isinstance(data, dict):
        return ""
    error = data.get("error", data)
    if isinstance(error, str):
        return error
    if not isinstance(error, dict):
        return ""
    said = error.get("message", error.get("detail"))
    if isinstance(said, list):
        said = "; ".join(str(item.get("msg")) for item in said if isinstance(item, dict))
    return said if isinstance(said, str) else ""


def media_type(image: Image) -> str:
    """Return a picture's media type by its first bytes; empty for a format that is not known."""
    data = image.data
    if data[:4] == b"RIFF" and data[8:12] == b"WEBP":
        return "image/webp"
    return next((kind for magic, kind in _MAGIC if data.startswith(magic)), "")


def _contents(prompt: Prompt) -> list[str | list[dict[str, object]]]:
    """Return a prompt's turns as the API takes them: a text, or a list of parts."""
    contents: list[str | list[dict[str, object]]] = []
    for turn in prompt.turns:
        if not turn.images:
            contents.append(turn.text)
            continue
        parts = [_picture(prompt, image) for image in turn.images]
        contents.append([*parts, {"type": "text", "text": turn.text}] if turn.text else parts)
    return contents


def _picture(prompt: Prompt, image: Image) -> dict[str, object]:
    kind = media_type(image)
    if not kind:
        raise EngineError(
            f"prompt {prompt.id}: a picture is in no known format (PNG, JPEG, WEBP, GIF, BMP, TIFF); "
            "repair or remove it in the data set"
        )
    url = f"data:{kind};base64,{b64encode(image.data).decode()}"
    return {"type": "image_url", "image_url": {"url": url}}


def _text(model: Model, prompt: Prompt, message: Json, reason: object) -> str:
    """Return the response as the model writes it: its own markers around what a server parsed out."""
    content, refusal = _written(message.get("content")), message.get("refusal")
    if isinstance(refusal, str) and refusal.strip():
        content = f"{content}\n{refusal}" if content.strip() else refusal
    parsed = message.get("reasoning_content") or message.get("reasoning")
    thought = parsed if isinstance(parsed, str) and parsed.strip() else ""
    if thought and model.reasoning is None:
        raise EngineError(
            "the server returns reasoning, but safety.toml gives the model no markers; add "
            'reasoning = { open = "<think>", close = "</think>" }, those of the model'
        )
    if thought and model.reasoning is not None:
        content = _marked(model, thought, content, _finish(reason))
    return response(model, prompt, content)


def _marked(model: Model, thought: str, content: str, finish: Finish) -> str:
    """Put a parsed trace back in front of its answer."""
    marks = model.reasoning
    assert marks is not None
    if model.thinking in ("zero", "less"):
        # We closed the trace; a parser that waits for the marker takes what follows for a trace.
        return content if content.strip() else thought
    if finish == "length" and not content.strip():
        return f"{marks.open}{thought}"
    return f"{marks.open}{thought}{marks.close}{content}"


def _written(content: object) -> str:
    """Read a message's content: a text, a list of parts, or nothing."""
    if content is None:
        return ""
    if isinstance(content, str):
        return content
    if isinstance(content, list):
        texts = [part.get("text") for part in content if isinstance(part, dict)]
        return "".join(text for text in texts if isinstance(text, str))
    raise Malformed(f"a message whose content is {type(content).__name__}")


def _finish(reason: object) -> Finish:
    name = str(reason).lower()
    if name in FILTERED:
        return "filter"
    if name not in CUT | WHOLE:
        raise EngineError(
            f'the server ended a response by "{name[:40]}", which may be half of one; have it say "stop" '
            'or "length", or report the word to us'
        )
    return "length" if name in CUT else "stop"


def _codes(data: object) -> list[str]:
    """Return the codes in the body of an error, wherever a provider nests them, in lower case."""
    if isinstance(data, list):
        return [code for item in data for code in _codes(item)]
    if not isinstance(data, dict):
        return []
    own = [data[key] for key in ("code", "type", "status") if isinstance(data.get(key), str)]
    nested = [data[key] for key in ("error", "innererror", "inner_error") if key in data]
    return [code.lower() for code in own] + [code for item in nested for code in _codes(item)]


def _object(value: object, what: str) -> Json:
    if not isinstance(value, dict):
        raise Malformed(f"{what} that is no JSON object")
    return value


def _count(value: object) -> int:
    return min(value, LARGEST_COUNT) if isinstance(value, int) and value >= 0 else 0


def _storable(text: str) -> str:
    """Replace halves of characters, which JSON can carry where a server cuts in UTF-16; UTF-8 cannot."""
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
