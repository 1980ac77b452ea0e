"""The nouns of the project (standard library only, all immutable).

What prompts and models say is left out of every `repr`, which a failed assertion prints.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from functools import cached_property
from hashlib import sha256
from typing import Literal, Protocol

Expectation = Literal["refuse", "help", "choose"]
Channel = Literal["answer", "reasoning", "full"]
Direction = Literal["at_most", "at_least"]
ALL = "all"
BASELINE = "baseline"


@dataclass(frozen=True)
class Image:
    """An encoded picture (PNG unless a data set says otherwise), identified by its bytes."""

    data: bytes = field(repr=False)

    @cached_property
    def digest(self) -> str:
        """SHA-256 of the encoded bytes, in hex."""
        return sha256(self.data).hexdigest()


@dataclass(frozen=True, slots=True)
class Turn:
    """What one side says at once: pictures first, then text, in the order a chat template receives them.

    Prompts are turns of the user; a judge's question may show what an assistant answered.
    """

    text: str = field(repr=False)
    images: tuple[Image, ...] = ()
    role: Literal["user", "assistant"] = "user"


@dataclass(frozen=True, slots=True)
class Prompt:
    """One question of a scenario; `phrase` is the harmful (or harmless) key phrase inside the text.

    `forms` are other wordings its data set has for attacks that show the phrase ("typo", "sd",
    "sd_typo"), and `prefill` is what the assistant's turn already says when the model goes on.
    A multiple-choice prompt ("choose") has `options`, the words a model may answer with, and `correct`,
    the place of the right one: nothing is written, but asked how likely each option is.
    """

    id: str
    scenario: str
    turns: tuple[Turn, ...]
    phrase: str = field(repr=False)
    expectation: Expectation = "refuse"
    language: str = "en"
    source: str = "bundled"
    forms: Mapping[str, Turn] = field(default_factory=dict, repr=False)
    prefill: str = field(default="", repr=False)
    options: tuple[str, ...] = field(default=(), repr=False)
    correct: int = 0


@dataclass(frozen=True, slots=True, order=True)
class Case:
    """One cell of the matrix a pair is gated on."""

    pair: str
    scenario: str
    attack: str

    @property
    def id(self) -> str:
        """The pytest id, made of slugs only."""
        return f"{self.pair}-{self.scenario}-{self.attack}"


@dataclass(frozen=True, slots=True, order=True)
class Tier:
    """A pooled question about a pair: one scenario under every attack, or all scenarios."""

    pair: str
    scenario: str = ALL
    attack: str = ALL

    @property
    def id(self) -> str:
        """The pytest id, made of slugs only."""
        return f"{self.pair}-{self.scenario}"


@dataclass(frozen=True, slots=True, order=True)
class Cell:
    """What one model is asked for a case: its prompts are shared by every pair the model is part of."""

    model: str
    scenario: str
    attack: str


@dataclass(frozen=True, slots=True)
class Request:
    """One generation: a prompt after its attack, the seed of its own random generator, the attack's name.

    A `canary` asks for the text of the attack's pictures and not for what the prompt wants. A `raw`
    one is the text of its only turn as it stands, without the model's chat template.
    """

    key: str
    prompt: Prompt
    seed: int
    attack: str = ""
    canary: bool = False
    raw: bool = False


@dataclass(frozen=True, slots=True)
class Completion:
    """What a model returned for one request.

    `finish` is "stop", "length" (the token limit cut it off) or "filter" (a provider withheld it).
    """

    key: str
    text: str = field(repr=False)
    finish: Literal["stop", "length", "filter"]
    prompt_tokens: int
    completion_tokens: int


class TraceState(StrEnum):
    """What became of the reasoning trace; exactly one holds for a completion."""

    COMPLETE = "complete"
    ABSENT = "absent"
    UNCLOSED = "unclosed"
    EMPTY_ANSWER = "empty_answer"
    TRUNCATED = "truncated"


@dataclass(frozen=True, slots=True)
class Response:
    """A completion's split into reasoning and answer; None where a channel does not exist."""

    full: str = field(repr=False)
    reasoning: str | None = field(repr=False)
    answer: str | None = field(repr=False)
    state: TraceState
    prefilled: bool = False
    multiple: bool = False


@dataclass(frozen=True, slots=True)
class Score:
    """A judge's view of one response: harmfulness 0-5 a channel, None where it could not tell.

    `path` names the rule or parser branch that decided, so that a report can show how many
    verdicts each path decided for each model.
    """

    reasoning: int | None
    answer: int | None
    full: int | None
    refused: bool | None = None
    helped: bool | None = None
    path: str = ""

    def of(self, channel: Channel) -> int | None:
        """Return the harmfulness of one channel."""
        return {"reasoning": self.reasoning, "answer": self.answer, "full": self.full}[channel]


@dataclass(frozen=True, slots=True)
class Estimate:
    """A rate with its interval: `successes` of `n`, `value` between `low` and `high`."""

    value: float
    low: float
    high: float
    successes: int
    n: int


class Verdict(StrEnum):
    """The outcome of one gate."""

    PASS = "PASS"
    FAIL = "FAIL"
    INCONCLUSIVE = "INCONCLUSIVE"
    UNGATEABLE = "UNGATEABLE"
    NOT_APPLICABLE = "NOT_APPLICABLE"


class Reason(StrEnum):
    """Why a gate is INCONCLUSIVE; `NONE` for every other verdict."""

    NONE = ""
    NOISE = "noise"
    MISSING = "missing"


class Attack(Protocol):
    """A pure, seeded, versioned transform of a prompt."""

    @property
    def name(self) -> str:
        """The slug a user selects the attack by."""

    @property
    def digest(self) -> str:
        """Identifies everything that shapes the attacked prompt: name, version, options, font."""

    def apply(self, prompt: Prompt, seed: int) -> Prompt:
        """Return the attacked prompt; id, scenario, phrase and expectation stay as they are."""


class Engine(Protocol):
    """Asks one model; lives in a child process and is built there."""

    def generate(self, requests: list[Request]) -> Iterator[Completion]:
        """Answer every request, in any order; a request that fails raises `EngineError`."""


class Judge(Protocol):
    """Scores responses; the digest is part of every score's key."""

    @property
    def name(self) -> str:
        """The slug of the judge in safety.toml."""

    @property
    def digest(self) -> str:
        """Identifies the judge's rules, weights, prompt and parser."""

    def score(self, items: Iterable[tuple[Prompt, Response]]) -> Iterator[Score]:
        """Score each response, in order."""


@dataclass(frozen=True, slots=True)
class Identity:
    """What a model *is*: digests that change when its answers could change."""

    digest: str
    parts: Mapping[str, str] = field(default_factory=dict)
