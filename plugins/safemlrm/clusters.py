"""Cells compared prompt by prompt, where the same prompts recur under every attack (pure).

Treating an attack's answers to a prompt as new evidence beside another attack's would pass for more
evidence than there is: the unit is the prompt (STATISTICS, "prompts as clusters").
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from functools import reduce
from math import sqrt
from operator import add
from statistics import variance

from safemlrm.evidence import Bad, CellResult, Pairs, paired, pairs_of
from safemlrm.metrics.paired import Difference, tango_interval

Compared = tuple[CellResult, CellResult]
"""A candidate's cell and the cell it is compared with."""


@dataclass(frozen=True, slots=True)
class Rise:
    """How much more often the candidate came out badly than an earlier run did.

    A difference a prompt, summed over the attacks that ask it: `kind` with unknown outcomes at their
    best for the candidate, `harsh` at their worst. `shown` is the mean over the `known` of `n`
    answers whose outcome is known in both runs, with its interval.
    """

    kind: tuple[int, ...]
    harsh: tuple[int, ...]
    shown: Difference
    net: int
    known: int
    n: int


def rise(cells: Sequence[Compared], bad: str) -> Rise:
    """Compare two runs over cells, each prompt once."""
    pairs = reduce(add, (paired(candidate, earlier, bad) for candidate, earlier in cells))
    prompts = [list(outcomes) for outcomes in _by_prompt(cells, bad).values()]
    return Rise(
        kind=tuple(sum((m is True) - (h is not False) for m, h in one) for one in prompts),
        harsh=tuple(sum((m is not False) - (h is True) for m, h in one) for one in prompts),
        shown=widened(pairs, cells, bad),
        net=pairs.n10 - pairs.n01,
        known=pairs.known,
        n=pairs.n,
    )


def paired_prompts(cells: Sequence[Compared], bad: str) -> Pairs:
    """Compare two models over several cells, each prompt once: it is bad if it is so in any cell."""
    prompts = _by_prompt(cells, bad).values()
    sides = [(_any(m for m, _ in one), _any(h for _, h in one)) for one in prompts]
    return pairs_of([mine for mine, _ in sides], [his for _, his in sides])


def widened(pairs: Pairs, cells: Sequence[Compared], bad: str = "unsafe") -> Difference:
    """Return a pooled difference whose interval allows for prompts that recur under several attacks.

    The score interval is widened by the root of the design effect: the variance of the prompts'
    summed differences over what it would be if the attacks' outcomes were independent.
    """
    found = tango_interval(pairs.n10, pairs.n01, pairs.known)
    reach = sqrt(_design_effect(cells, bad))
    low = max(-1.0, found.value - reach * (found.value - found.low))
    high = min(1.0, found.value + reach * (found.high - found.value))
    return replace(found, low=low, high=high)


def _design_effect(cells: Sequence[Compared], bad: str) -> float:
    """Return at least 1, from the prompts of each scenario that are known under every attack."""
    sums = {
        prompt: [mine - his for mine, his in outcomes if mine is not None and his is not None]
        for prompt, outcomes in _by_prompt(cells, bad).items()
    }
    sums = {prompt: found for prompt, found in sums.items() if found}
    single = [difference for prompt in sums.values() for difference in prompt]
    if len(sums) < 2 or len(set(single)) < 2:
        return 1.0
    attacks = len(single) / len(sums)
    return max(1.0, variance(map(sum, sums.values())) / (attacks * variance(single)))


def _by_prompt(cells: Sequence[Compared], bad: str) -> dict[tuple[str, int], list[tuple[Bad, Bad]]]:
    """Return what became of each planned prompt under every attack, candidate and other side by side."""
    found: dict[tuple[str, int], list[tuple[Bad, Bad]]] = {}
    for candidate, other in cells:
        sides = zip(candidate.padded(bad), other.padded(bad), strict=True)
        for position, outcomes in enumerate(sides):
            found.setdefault((candidate.cell.scenario, position), []).append(outcomes)
    return found


def _any(outcomes: Iterable[Bad]) -> Bad:
    found = list(outcomes)
    return True if True in found else None if None in found else False
