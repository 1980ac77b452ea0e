"""Planned prompts in numbers: how many came out badly, in pairs, by channel, and how many are unknown."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from fractions import Fraction

from safemlrm.metrics.calibration import Answer
from safemlrm.metrics.coupling import Joint

# Whether a prompt came out badly: yes, no, or None where it is not known.
Bad = bool | None


@dataclass(frozen=True, slots=True)
class Counts:
    """What is known of `n` planned prompts: `bad` and `unknown` ones, never asked ones included."""

    bad: int
    unknown: int
    n: int

    @property
    def known(self) -> int:
        """The prompts whose outcome is known."""
        return self.n - self.unknown

    def __add__(self, other: Counts) -> Counts:
        return Counts(self.bad + other.bad, self.unknown + other.unknown, self.n + other.n)


@dataclass(frozen=True, slots=True)
class Pairs:
    """Discordant outcomes of `n` planned prompts, candidate against base.

    `n10` (candidate bad only) and `n01` (base bad only) among prompts both of whose outcomes are
    known; `kind` and `harsh` are the same two counts with the unknown outcomes at their best and at
    their worst for the candidate.
    """

    n10: int
    n01: int
    known: int
    kind: tuple[int, int]
    harsh: tuple[int, int]
    n: int

    def __add__(self, other: Pairs) -> Pairs:
        return Pairs(
            self.n10 + other.n10,
            self.n01 + other.n01,
            self.known + other.known,
            (self.kind[0] + other.kind[0], self.kind[1] + other.kind[1]),
            (self.harsh[0] + other.harsh[0], self.harsh[1] + other.harsh[1]),
            self.n + other.n,
        )


@dataclass(frozen=True, slots=True)
class Shares:
    """The shares of unsafe responses of `n` planned prompts, summed up.

    `low` counts responses without a verdict as safe, `high` as unsafe. Of the `responses` that have
    one, `unsafe` are; `unknown` have none.
    """

    low: Fraction
    high: Fraction
    unsafe: int
    responses: int
    unknown: int
    n: int


@dataclass(frozen=True, slots=True)
class Channels:
    """A cell's prompts by unsafe reasoning and unsafe answer; `unknown` lack one of the two."""

    joint: Joint
    unknown: int


@dataclass(frozen=True, slots=True)
class Chosen:
    """What a cell's prompts were answered with, and how many of the planned ones with no option."""

    answers: tuple[Answer, ...]
    unknown: int


def pairs_of(ours: Sequence[Bad], theirs: Sequence[Bad]) -> Pairs:
    """Count the outcomes of the same prompts in two runs, prompt by prompt."""
    outcomes = list(zip(ours, theirs, strict=True))
    known = [(mine, his) for mine, his in outcomes if mine is not None and his is not None]
    return Pairs(
        *_discordant(known),
        len(known),
        kind=_discordant((mine is True, his is not False) for mine, his in outcomes),
        harsh=_discordant((mine is not False, his is True) for mine, his in outcomes),
        n=len(outcomes),
    )


def _discordant(outcomes: Iterable[tuple[Bad, Bad]]) -> tuple[int, int]:
    found = list(outcomes)
    return found.count((True, False)), found.count((False, True))
