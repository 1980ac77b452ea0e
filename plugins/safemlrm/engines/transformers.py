"""A local checkpoint, asked the way its authors ask it: processor, chat template, generate."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import groupby
from pathlib import Path
from typing import Any

import torch
from jinja2 import TemplateError

from safemlrm.config import Model
from safemlrm.engines.batch_size import BatchSize
from safemlrm.engines.checkpoint import Checkpoint, load
from safemlrm.engines.defence import build_defence
from safemlrm.engines.folder import files_of
from safemlrm.engines.guarding import Guard
from safemlrm.engines.identity import decoding_of
from safemlrm.engines.images import pictures_of
from safemlrm.engines.memory import is_out_of_memory
from safemlrm.engines.open_turn import TraceCloses, continuation, encode_begun
from safemlrm.engines.options import option_tokens, write_probabilities
from safemlrm.engines.processors import need_template
from safemlrm.engines.sampling import sampler
from safemlrm.engines.stepping import dropping
from safemlrm.engines.thinking import Draft, begun, response, think_more
from safemlrm.engines.weights import check_files
from safemlrm.errors import EngineError
from safemlrm.types import Completion, Image, Prompt, Request

Conversation = list[dict[str, Any]]
Kind = tuple[int, bool, bool, bool]


class TransformersEngine:
    """One checkpoint on one device."""

    def __init__(self, model: Model, folder: Path, device: str) -> None:
        """Load the checkpoint; `folder` is that of safety.toml, "cpu:1" is one more child on the CPU.

        Raises `EngineError` with one line that says what is wrong with the checkpoint.
        """
        self._model = model
        self._batch_size = BatchSize(model.batch_size)
        self._decoding = decoding_of(model, folder)
        found = files_of(model, folder)
        check_files(found)
        self._checkpoint: Checkpoint = load(model, found, device, self._decoding)
        self._guard = _guard(model, folder, self._checkpoint)

    def generate(self, requests: list[Request]) -> Iterator[Completion]:
        """Answer in batches of at most `batch_size` requests of one kind: equally many pictures.

        In float32 a response is the same in any batch; in 16 bits rounding can tell batches apart.
        """
        ordered = sorted(requests, key=self._kind)
        for kind, group in groupby(ordered, key=self._kind):
            rows = list(group)
            while rows:
                size = self._batch_size.of(kind)
                answers = self._within_memory(rows[:size], kind)
                if answers is not None:
                    yield from answers
                    rows = rows[size:]

    def _kind(self, request: Request) -> Kind:
        """Tell requests apart that are not asked alike: by pictures, a begun turn, raw text, options."""
        prompt = request.prompt
        pictures = sum(len(turn.images) for turn in prompt.turns)
        return pictures, bool(begun(self._model, prompt)), request.raw, bool(prompt.options)

    def _within_memory(self, requests: list[Request], kind: Kind) -> list[Completion] | None:
        """Answer a batch; None when the device ran out of memory, and later batches are half as large."""
        try:
            return self._answer(requests)
        except (torch.OutOfMemoryError, RuntimeError, MemoryError) as error:
            if not is_out_of_memory(error):
                raise
        # Outside the handler, whose traceback would keep the batch's tensors alive.
        if self._checkpoint.device.type == "cuda":
            torch.cuda.empty_cache()
        if not self._batch_size.halve(kind, len(requests)):
            raise EngineError(
                f"prompt {requests[0].prompt.id}: {self._checkpoint.device} is out of memory with "
                "one request at a time; take a larger device, a smaller dtype or max_new_tokens"
            )
        return None

    def _answer(self, requests: list[Request]) -> list[Completion]:
        """Answer a batch; what an attack put into the assistant's turn is part of the text."""
        if requests[0].prompt.options:
            return self._choose(requests)
        if self._model.thinking == "more":
            budget = self._decoding.max_new_tokens
            answers = think_more(self._model, requests, budget, self._go_on)
        else:
            answers = self._go_on([Draft(request) for request in requests], None)
        return [
            replace(answer, text=response(self._model, request.prompt, answer.text))
            for request, answer in zip(requests, answers, strict=True)
        ]

    def _choose(self, requests: list[Request]) -> list[Completion]:
        """Say how likely each option is where the answer would begin; nothing is written.

        The probabilities are the network's own, whatever temperature its responses are drawn at.
        """
        checkpoint, pictures = self._checkpoint, dict[Image, Any]()
        prompts = [request.prompt for request in requests]
        tokens = [option_tokens(checkpoint.tokenizer, p.options, p.id) for p in prompts]
        conversations = [self._conversation(prompt, pictures) for prompt in prompts]
        inputs = self._encode(conversations, [begun(self._model, prompt) for prompt in prompts])
        with torch.inference_mode():
            # Not the bare network: `generate` knows the positions of rows that begin with padding.
            output = checkpoint.network.generate(
                **inputs,
                generation_config=checkpoint.generation,
                max_new_tokens=1,
                output_logits=True,
                return_dict_in_generate=True,
            )
        likely = torch.softmax(output.logits[0].to("cpu", torch.float32), dim=-1)
        lengths = inputs["attention_mask"].sum(dim=1).tolist()
        found = []
        for request, row, options, length in zip(requests, likely, tokens, lengths, strict=True):
            text = write_probabilities([float(row[option].sum()) for option in options])
            if length < checkpoint.longest:
                found.append(Completion(request.key, text, "stop", int(length), 0))
            else:  # the network was not made for so long a question
                found.append(Completion(request.key, "", "length", int(length), 0))
        return found

    def _go_on(self, drafts: list[Draft], stops: Sequence[bool] | None) -> list[Completion]:
        """Continue drafts, those that `stops` marks up to where their trace closes."""
        checkpoint, marks = self._checkpoint, self._model.reasoning
        starts = [begun(self._model, draft.request.prompt) + draft.written for draft in drafts]
        if drafts[0].request.raw:
            inputs = self._encode_raw([draft.request.prompt.turns[0].text for draft in drafts])
        else:
            pictures: dict[Image, Any] = {}
            prompts = [self._conversation(draft.request.prompt, pictures) for draft in drafts]
            inputs = self._encode(prompts, starts)
        width = inputs["input_ids"].shape[1]
        closes = None
        if stops is not None and marks is not None:
            closes = TraceCloses(checkpoint.tokenizer, marks.close, stops, width)
        with torch.inference_mode():
            output = checkpoint.network.generate(
                **inputs,
                generation_config=checkpoint.generation,
                logits_processor=sampler(
                    self._decoding,
                    [draft.seed for draft in drafts],
                    checkpoint.device,
                    self._guard,
                ),
                stopping_criteria=[closes] if closes else None,
                custom_generate=dropping(checkpoint.network),
            )
        prompt_tokens = inputs["attention_mask"].sum(dim=1).tolist()
        completions = []
        for row, (draft, tokens) in enumerate(zip(drafts, output[:, width:].tolist(), strict=True)):
            left = self._decoding.max_new_tokens - draft.spent
            kept = tokens[: min(left, closes.lengths.get(row, left) if closes else left)]
            completions.append(
                self._completion(draft.request.key, kept, prompt_tokens[row], starts[row])
            )
        return completions

    def _completion(
        self, key: str, tokens: list[int], prompt_tokens: int, start: str = ""
    ) -> Completion:
        """Cut at the first end token; without one the token limit ended the response.

        What does not fit into the network's context counts as cut off too: it is no answer to all of it.
        """
        checkpoint = self._checkpoint
        end = next((i for i, token in enumerate(tokens) if token in checkpoint.ends), None)
        own = tokens if end is None else tokens[:end]
        kept = [token for token in own if token not in checkpoint.unwritten]
        outside = prompt_tokens + len(own) > checkpoint.longest
        return Completion(
            key=key,
            text=continuation(checkpoint.tokenizer, start, kept),
            finish="length" if end is None or outside else "stop",
            prompt_tokens=int(prompt_tokens),
            completion_tokens=len(own) + (end is not None),
        )

    def _conversation(
        self, prompt: Prompt, pictures: dict[Image, Any] | None = None
    ) -> Conversation:
        """Return a prompt as chat messages, pictures before text; `pictures` are those opened so far."""
        system = self._model.system
        if not self._checkpoint.sees:
            if any(turn.images for turn in prompt.turns):
                raise EngineError(
                    f"prompt {prompt.id} shows a picture, but {self._model.path} reads text only; "
                    "leave attacks that draw pictures out for this model"
                )
            head = [] if system is None else [{"role": "system", "content": system}]
            return head + [{"role": turn.role, "content": turn.text} for turn in prompt.turns]
        head = [] if system is None else [_message("system", system, [])]
        turns = zip(prompt.turns, pictures_of(prompt, pictures), strict=True)
        return head + [_message(turn.role, turn.text, shown) for turn, shown in turns]

    def _encode(self, conversations: list[Conversation], starts: Sequence[str] = ()) -> Any:
        """Render and tokenize a batch, padded on the left, on the device."""
        checkpoint = self._checkpoint
        need_template(self._model.path, checkpoint.processor, checkpoint.sees)
        try:
            if any(starts):
                inputs = encode_begun(checkpoint, conversations, starts)
            else:
                inputs = _encode_unbegun(checkpoint, conversations)
        except (TemplateError, ValueError, TypeError, KeyError, IndexError) as error:
            raise EngineError(
                f"{self._model.path}: chat template or processor refused the conversation: {error}"
            ) from error
        if checkpoint.sees:
            return inputs.to(checkpoint.device, dtype=checkpoint.network.dtype)
        return inputs.to(checkpoint.device)

    def _encode_raw(self, texts: list[str]) -> Any:
        """Tokenize whole prompts as they stand; a start token that is written out is not doubled."""
        checkpoint = self._checkpoint
        first = checkpoint.tokenizer.bos_token
        written = first is not None and texts[0].startswith(first)
        inputs = checkpoint.tokenizer(
            texts, add_special_tokens=not written, padding=True, return_tensors="pt"
        )
        return inputs.to(checkpoint.device)


def _guard(model: Model, folder: Path, checkpoint: Checkpoint) -> Guard | None:
    """Return what lets the model's defence see each step; None for a model without one."""
    if model.defence is None:
        return None
    network = checkpoint.network
    rescorer = build_defence(model.defence, folder, network, checkpoint.tokenizer)
    return Guard(model.defence.kind, network, rescorer)


def _encode_unbegun(checkpoint: Checkpoint, conversations: list[Conversation]) -> Any:
    """Tokenize in the processor's own way, which for some adds more than text and pictures."""
    padding: dict[str, Any] = {"padding": True}
    if checkpoint.sees:
        padding = {"processor_kwargs": {"padding": True}}
    return checkpoint.processor.apply_chat_template(
        conversations,
        tokenize=True,
        return_dict=True,
        return_tensors="pt",
        add_generation_prompt=True,
        **padding,
    )


def _message(role: str, text: str, pictures: list[Any]) -> dict[str, Any]:
    shown = [{"type": "image", "image": picture} for picture in pictures]
    return {"role": role, "content": [*shown, {"type": "text", "text": text}]}
