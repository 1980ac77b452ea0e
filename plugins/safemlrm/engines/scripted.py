"""A model that follows a script: for tests, demonstrations and cross-checks of the mathematics."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator
from fnmatch import fnmatchcase
from hashlib import sha256

from safemlrm.config import Model
from safemlrm.engines.options import write_probabilities
from safemlrm.engines.thinking import response
from safemlrm.types import Completion, Request

STEPS = "[step 1] [step 2] [step 3]"
UNSAFE = "Sure, here are the steps for {phrase}: " + STEPS
REFUSAL = "I am sorry, I cannot help with {phrase}."
HELP = "Here is some help with {phrase}: " + STEPS
ASKED = "The user asks about {phrase}. "
UNSAFE_THOUGHT = ASKED + "It is fine to go on, so I plan " + STEPS + "."
SAFE_THOUGHT = ASKED + "It could cause harm, so I should refuse."
HELP_THOUGHT = ASKED + "It is harmless, so I can help."
READ = "The image says {phrase}."
UNREAD = "The image shows some shapes."
READING_THOUGHT = "The user asks what the image says."
WORD_SALAD = "lamp river seven maybe"


class ScriptedEngine:
    """Answers by rates: each outcome depends on the request's key and seed alone."""

    def __init__(self, model: Model) -> None:
        """Keep the script and the markers of the trace."""
        self._model = model
        self._script = model.script
        self._reasoning = model.reasoning
        self._answered = 0

    def generate(self, requests: list[Request]) -> Iterator[Completion]:
        """Answer each request that the script does not drop; `delay_ms` is waited once a call."""
        time.sleep(self._script.delay_ms / 1000)
        for request in requests:
            if self._answered == self._script.die_after:
                os.kill(os.getpid(), signal.SIGKILL)
            self._answered += 1
            if not _happens(request, "drop", self._script.drop):
                yield self._answer(request)

    def _answer(self, request: Request) -> Completion:
        written = self._text(request)
        if request.prompt.options:
            return Completion(request.key, written, "stop", len(request.prompt.turns), 0)
        space = " " if request.prompt.prefill else ""
        text = response(self._model, request.prompt, space + written)
        truncated = bool(text) and _happens(request, "truncate", self._script.truncate)
        if truncated:
            text = text[: len(text) // 2]
        return Completion(
            key=request.key,
            text=text,
            finish="length" if truncated else "stop",
            prompt_tokens=sum(len(turn.text.split()) for turn in request.prompt.turns),
            completion_tokens=len(text.split()),
        )

    def _text(self, request: Request) -> str:
        if request.prompt.options:
            return self._choose(request)
        if request.canary:
            blind = _happens(request, "blind", self._script.blind)
            answer = UNREAD if blind else READ.format(phrase=request.prompt.phrase)
            return self._written(READING_THOUGHT, answer)
        if _happens(request, "empty", self._script.empty):
            return ""
        if _happens(request, "unscorable", self._script.unscorable):
            return self._written(WORD_SALAD, WORD_SALAD)
        prompt = request.prompt
        thought, answer = (
            self._help(request) if prompt.expectation == "help" else self._ask(request)
        )
        topic = prompt.phrase or prompt.turns[0].text
        return self._written(thought.format(phrase=topic), answer.format(phrase=topic))

    def _help(self, request: Request) -> tuple[str, str]:
        """Choose thought and answer for a benign question."""
        if _happens(request, "refuse_benign", self._rate(request, self._script.refuse_benign)):
            return SAFE_THOUGHT, REFUSAL
        return HELP_THOUGHT, HELP

    def _ask(self, request: Request) -> tuple[str, str]:
        """Choose thought and answer for a harmful question."""
        unsafe_thought = _happens(request, "unsafe", self._rate(request, self._script.unsafe))
        unsafe_answer = unsafe_thought
        if self._reasoning is not None and unsafe_thought:
            unsafe_answer = not _happens(request, "self_correct", self._script.self_correct)
        elif self._reasoning is not None:
            unsafe_answer = _happens(request, "leak", self._script.leak)
        thought = UNSAFE_THOUGHT if unsafe_thought else SAFE_THOUGHT
        return thought, UNSAFE if unsafe_answer else REFUSAL

    def _choose(self, request: Request) -> str:
        """Choose one option as surely as it is right over all prompts; an attack may change that.

        Which option it is depends on the prompt alone, so that only `change` tells attacks apart.
        """
        script, prompt, options = self._script, request.prompt, len(request.prompt.options)
        if _happens(request, "unscorable", script.unscorable):
            return write_probabilities([0.01] * options)
        asked = Request(f"{prompt.scenario}/{prompt.id}", prompt, 0)
        chosen = prompt.correct if _happens(asked, "right", script.sure) else prompt.correct + 1
        if request.attack != "direct" and _happens(asked, "change", script.change):
            chosen += 2
        unsure = _happens(request, "unsure", self._rate(request, 0.0))
        sure = 1 / options + 0.01 if unsure else script.sure
        rest = (1 - sure) / (options - 1)
        places = range(options)
        return write_probabilities([sure if p == chosen % options else rest for p in places])

    def _rate(self, request: Request, default: float) -> float:
        """Return how often the cell comes out badly: an unsafe answer, or a benign one refused."""
        cell = f"{request.prompt.scenario}/{request.attack or 'direct'}"
        globs = self._script.by_cell
        return next((globs[glob] for glob in globs if fnmatchcase(cell, glob)), default)

    def _written(self, thought: str, answer: str) -> str:
        """Join trace and answer with the model's markers; a prefilled trace is already open."""
        marks = self._reasoning
        if marks is None or self._model.thinking in ("zero", "less"):
            return answer
        opened = "" if marks.prefilled else marks.open
        return (
            f"{opened}{thought}{marks.close}"
            f"{marks.answer_open or ''}{answer}{marks.answer_close or ''}"
        )


def _happens(request: Request, event: str, rate: float) -> bool:
    """Draw one outcome of a request from a hash: it happens with probability `rate`."""
    digest = sha256(f"{request.key}/{request.seed}/{event}".encode()).digest()
    return int.from_bytes(digest[:8], "big") < rate * 2**64
