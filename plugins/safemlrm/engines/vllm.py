"""A local checkpoint asked through vLLM's offline engine, in the words of the transformers engine.

Prompts are rendered by the checkpoint's own chat template here and not by vLLM, so that both engines
ask the same text; what of a turn is begun, stripped and counted is the same, too. Read against
vLLM 0.33.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import transformers
from jinja2 import TemplateError

from safemlrm.config import Model
from safemlrm.engines.checkpoint import LOADING_ERRORS, unwritten_of
from safemlrm.engines.folder import Files, files_of, read_json
from safemlrm.engines.identity import GENERATION, decoding_of, refuse_undone
from safemlrm.engines.images import pictures_of
from safemlrm.engines.open_turn import continuation
from safemlrm.engines.opening import check_opening
from safemlrm.engines.processors import load_processor, need_template, sees_pictures
from safemlrm.engines.thinking import Draft, begun, response, think_more
from safemlrm.engines.weights import check_files
from safemlrm.errors import EngineError
from safemlrm.types import Completion, Prompt, Request

# The engine core in this process: what it raises is the reason, and it ends when this process does.
# Workers of a tensor-parallel model are started anew, since this process may have used CUDA.
ENVIRONMENT = {
    "VLLM_ENABLE_V1_MULTIPROCESSING": "0",
    "VLLM_WORKER_MULTIPROC_METHOD": "spawn",
    "VLLM_LOGGING_LEVEL": "ERROR",
    "VLLM_NO_USAGE_STATS": "1",
}
PICTURES = 16
RANKS = (8, 16, 32, 64, 128, 256, 320, 512)
# What a generation_config.json says of scores and vLLM does by another name, or not at all.
PASSED = {"repetition_penalty": "repetition_penalty", "min_new_tokens": "min_tokens"}
UNDONE: Mapping[str, tuple[object, ...]] = {
    "no_repeat_ngram_size": (None, 0),
    "bad_words_ids": ([], None),
    "sequence_bias": ([], {}, None),
    "suppress_tokens": ([], None),
    "begin_suppress_tokens": ([], None),
    "forced_bos_token_id": (None,),
    "forced_eos_token_id": (None,),
    "exponential_decay_length_penalty": (None,),
    "min_length": (None, 0),
}


@dataclass(frozen=True, slots=True)
class Speech:
    """How a checkpoint is spoken to: its processor and tokens; `scores` is its own say in sampling."""

    processor: Any
    tokenizer: Any
    sees: bool
    ends: frozenset[int]
    unwritten: frozenset[int]
    scores: Mapping[str, Any]


class VllmEngine:
    """One checkpoint on the GPUs of one child; vLLM forms its batches by itself, out of what is asked.

    Every request has its own seed, which vLLM gives its own generator, and asks for one response:
    several of one prompt share its prefix in the cache all the same, and none depends on which
    others are asked with it. In 16 bits rounding can tell batches apart, as with every engine.
    """

    def __init__(self, model: Model, folder: Path, device: str) -> None:
        """Load the checkpoint; `folder` is that of safety.toml, and the GPUs are those this process sees.

        Raises `EngineError` with one line that says what is wrong with the checkpoint.
        """
        self._model = model
        self._decoding = decoding_of(model, folder)
        found = files_of(model, folder)
        check_files(found)
        if found.gguf is not None:
            raise EngineError(f'{found.gguf}: engine = "vllm" reads safetensors, not GGUF')
        try:
            self._speech = _speech(model, found)
            self._llm = _load(model, found, self._speech, device)
        except LOADING_ERRORS as error:
            raise EngineError(f"{found.folder}: {_reason(error)}") from error
        self._adapter = _adapter(found)
        room = self._llm.model_config.max_model_len
        if room <= self._decoding.max_new_tokens:
            raise EngineError(
                f"{found.folder}: there is room for {room} tokens of prompt and response, and "
                f"max_new_tokens is {self._decoding.max_new_tokens}; take less of them, a larger "
                "device or more tensor_parallel"
            )

    def generate(self, requests: list[Request]) -> Iterator[Completion]:
        """Answer requests; what an attack put into the assistant's turn is part of the text."""
        if self._model.thinking == "more":
            budget = self._decoding.max_new_tokens
            answers = think_more(self._model, requests, budget, self._go_on)
        else:
            answers = self._go_on([Draft(request) for request in requests], None)
        for request, answer in zip(requests, answers, strict=True):
            yield replace(answer, text=response(self._model, request.prompt, answer.text))

    def _go_on(self, drafts: list[Draft], stops: Sequence[bool] | None) -> list[Completion]:
        """Continue drafts, those that `stops` marks up to where their trace closes."""
        starts = [begun(self._model, draft.request.prompt) + draft.written for draft in drafts]
        texts = [
            self._rendered(draft.request) + start
            for draft, start in zip(drafts, starts, strict=True)
        ]
        outputs = self._llm.generate(
            [self._asked(d.request, text) for d, text in zip(drafts, texts, strict=True)],
            [self._sampling(d, bool(stops and stops[row])) for row, d in enumerate(drafts)],
            use_tqdm=False,
            lora_request=self._adapter,
            tokenization_kwargs={"add_special_tokens": not self._is_begun(texts)},
        )
        return [
            self._completion(draft.request, output, start)
            for draft, output, start in zip(drafts, outputs, starts, strict=True)
        ]

    def _sampling(self, draft: Draft, stop: bool) -> Any:
        """Return how a response is drawn; the end tokens are ours alone, as in the other engine."""
        from vllm import SamplingParams

        decoding, marks = self._decoding, self._model.reasoning
        return SamplingParams(
            n=1,
            seed=draft.seed,
            temperature=decoding.temperature,
            top_p=decoding.top_p,
            top_k=decoding.top_k,
            min_p=decoding.min_p,
            max_tokens=decoding.max_new_tokens - draft.spent,
            ignore_eos=True,
            stop_token_ids=sorted(self._speech.ends),
            stop=[marks.close] if stop and marks else None,
            include_stop_str_in_output=True,
            skip_special_tokens=False,
            **self._speech.scores,
        )

    def _completion(self, request: Request, output: Any, start: str) -> Completion:
        """Cut at the first end token; without one the token limit ended the response."""
        [answer] = output.outputs
        if answer.finish_reason not in ("stop", "length"):
            raise EngineError(
                f"prompt {request.prompt.id}: vLLM ended it by {answer.finish_reason}"
            )
        speech, tokens = self._speech, list(answer.token_ids)
        end = next((i for i, token in enumerate(tokens) if token in speech.ends), None)
        own = tokens if end is None else tokens[:end]
        kept = [token for token in own if token not in speech.unwritten]
        return Completion(
            key=request.key,
            text=continuation(speech.tokenizer, start, kept),
            finish="length" if end is None else "stop",
            prompt_tokens=len(output.prompt_token_ids),
            completion_tokens=len(own) + (end is not None),
        )

    def _rendered(self, request: Request) -> str:
        """Return the text of a conversation up to where the assistant's turn starts."""
        if request.raw:
            return request.prompt.turns[0].text
        need_template(self._model.path, self._speech.processor, self._speech.sees)
        try:
            text = self._speech.processor.apply_chat_template(
                self._conversation(request.prompt), tokenize=False, add_generation_prompt=True
            )
        except (TemplateError, ValueError, TypeError, KeyError, IndexError) as error:
            raise EngineError(
                f"{self._model.path}: chat template refused the conversation: {error}"
            ) from error
        return str(text)

    def _conversation(self, prompt: Prompt) -> list[dict[str, Any]]:
        """Return a prompt as chat messages, places of pictures before text."""
        sees, system = self._speech.sees, self._model.system

        def message(role: str, text: str, pictures: int = 0) -> dict[str, Any]:
            shown = [{"type": "image"}] * pictures
            content = [*shown, {"type": "text", "text": text}] if sees else text
            return {"role": role, "content": content}

        head = [] if system is None else [message("system", system)]
        return head + [message(turn.role, turn.text, len(turn.images)) for turn in prompt.turns]

    def _asked(self, request: Request, text: str) -> dict[str, Any]:
        """Return a prompt as vLLM takes it: tokens for a model of text, else text and pictures."""
        prompt = request.prompt
        pictures = [picture for row in pictures_of(prompt) for picture in row]
        if not self._speech.sees:
            if pictures:
                raise EngineError(
                    f"prompt {prompt.id} shows a picture, but {self._model.path} reads text only; "
                    "leave attacks that draw pictures out for this model"
                )
            first = self._speech.tokenizer.bos_token
            bare = request.raw and not (first is not None and text.startswith(first))
            ids = self._speech.tokenizer.encode(text, add_special_tokens=bare)
            return {"prompt_token_ids": ids}
        if len(pictures) > PICTURES:
            raise EngineError(
                f"prompt {prompt.id} shows {len(pictures)} pictures; at most {PICTURES} are asked "
                'with engine = "vllm"'
            )
        return (
            {"prompt": text, "multi_modal_data": {"image": pictures}}
            if pictures
            else {"prompt": text}
        )

    def _is_begun(self, texts: Sequence[str]) -> bool:
        """Tell whether the template writes the start token, so that none is added."""
        first = self._speech.tokenizer.bos_token
        return not self._speech.sees or (first is not None and texts[0].startswith(first))


def _speech(model: Model, found: Files) -> Speech:
    """Load processor and tokens, and what generation_config.json says of scores."""
    config = transformers.AutoConfig.from_pretrained(
        found.folder, trust_remote_code=model.trust_remote_code
    )
    sees = sees_pictures(config)
    processor, tokenizer = load_processor(sees, config, found.folder, model.trust_remote_code)
    check_opening(model, processor, sees)
    own = read_json(found.folder / GENERATION)
    refuse_undone(own, UNDONE)
    ends: Any = own.get("eos_token_id", tokenizer.eos_token_id)
    ends = [ends] if isinstance(ends, int) else (ends or [])
    return Speech(
        processor=processor,
        tokenizer=tokenizer,
        sees=sees,
        ends=frozenset(ends),
        unwritten=frozenset(unwritten_of(tokenizer, model.reasoning)),
        scores={PASSED[key]: own[key] for key in PASSED if own.get(key) is not None},
    )


def _load(model: Model, found: Files, speech: Speech, device: str) -> Any:
    """Start vLLM; the longest context that fits is taken, up to the model's own."""
    for name, value in ENVIRONMENT.items():
        os.environ.setdefault(name, value)
    from vllm import LLM

    settings: dict[str, Any] = {}
    if speech.sees:
        settings["limit_mm_per_prompt"] = {"image": PICTURES, "video": 0, "audio": 0}
    if not device.startswith("cpu"):  # where it does not tell how much fits, vLLM takes 512 tokens
        settings["max_model_len"] = -1
    if found.adapter is not None:
        if speech.sees:
            raise EngineError(
                'an adapter of a model that sees is not put on with engine = "vllm", which may leave '
                'parts of it out; merge it (merge_and_unload) and save that, or use "transformers"'
            )
        rank = int(str(read_json(found.adapter / "adapter_config.json").get("r", 0)))
        fitting = next((size for size in RANKS if size >= rank), RANKS[-1])
        settings |= {"enable_lora": True, "max_lora_rank": fitting}
    return LLM(
        model=str(found.folder),
        dtype=model.dtype,
        tensor_parallel_size=model.tensor_parallel,
        trust_remote_code=model.trust_remote_code,
        enable_prefix_caching=True,
        generation_config="vllm",
        max_num_seqs=model.batch_size,
        seed=0,
        **settings,
    )


def _adapter(found: Files) -> Any:
    if found.adapter is None:
        return None
    from vllm.lora.request import LoRARequest

    return LoRARequest("adapter", 1, str(found.adapter))


def _reason(error: Exception) -> str:
    """Return one line; our own errors already say what is wrong."""
    lines = str(error).strip().splitlines() or [type(error).__name__]
    hint = "; take a larger device or more tensor_parallel" if "memory" in lines[0].lower() else ""
    return lines[0] if isinstance(error, EngineError) else f"vLLM cannot load it: {lines[0]}{hint}"
