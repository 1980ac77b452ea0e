"""What the store gives back: a prompt's row, its score, what asking cost."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from safemlrm.choice import Choice, read_choice
from safemlrm.types import Identity, Score, TraceState


@dataclass(frozen=True, slots=True)
class Scored:
    """A score with the trace state it was given for."""

    score: Score
    state: TraceState
    prefilled: bool = False
    multiple: bool = False


@dataclass(frozen=True, slots=True)
class Cost:
    """What asking took: requests, tokens read and written, seconds with loading the model."""

    requests: int = 0
    tokens: int = 0
    seconds: float = 0.0


@dataclass(frozen=True, slots=True)
class Row:
    """One asked prompt of a cell; `scored` is None where no judge has seen the completion."""

    position: int
    prompt: str
    key: str
    finish: str
    completion_tokens: int
    scored: Scored | None
    choice: Choice | None = None
    """How likely each option is, where the prompt has options and one was chosen."""


@dataclass(frozen=True, slots=True)
class Seen:
    """What a model was when a run looked at it; the digest is empty where it could not be read.

    `at` is a time in UTC (ISO 8601), empty where an earlier version kept none.
    """

    uid: str
    model: str
    settings: str
    identity: Identity
    at: str


@dataclass(frozen=True, slots=True)
class Place:
    """Which cell of a configuration a stored cell is; `ask` is "first", "fresh 1" or "canary"."""

    model: str
    identity: str
    scenario: str
    attack: str
    ask: str


def score_row(key: str, scorer: str, scored: Scored) -> tuple[object, ...]:
    """Return a score as the table `score` keeps it."""
    s = scored.score
    channels = (s.reasoning, s.answer, s.full, s.refused, s.helped, s.path)
    return (key, scorer, scored.state.value, scored.prefilled, scored.multiple, *channels)


STATES: Mapping[str, TraceState] = {state.value: state for state in TraceState}
"""Found faster than by the enumeration itself, of which a large run would call for a quarter million."""


def row_of(
    position: int,
    prompt: str,
    key: str,
    finish: str,
    tokens: int,
    state: str | None,
    prefilled: int,
    multiple: int,
    reasoning: int | None,
    answer: int | None,
    full: int | None,
    refused: int | None,
    helped: int | None,
    path: str,
    chosen: str | None = None,
) -> Row:
    """Read what `Store.rows` asks for; `state` is None where no judge has seen the completion.

    `chosen` is the text of a completion that is an option.
    """
    if state is None:
        return Row(position, prompt, key, finish, tokens, None)
    score = Score(reasoning, answer, full, _yes_no(refused), _yes_no(helped), path)
    scored = Scored(score, STATES[state], bool(prefilled), bool(multiple))
    choice = None if chosen is None else read_choice(chosen)
    return Row(position, prompt, key, finish, tokens, scored, choice)


def _yes_no(value: int | None) -> bool | None:
    return None if value is None else bool(value)
