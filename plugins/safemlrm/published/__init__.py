"""The figures the SafeMLRM paper published, as something to compare a run with; figures only.

They are counts of scores: nobody knows any more which prompt had which, so that a comparison with them
is unpaired and says nothing of how reasonings and answers go together.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache
from importlib.resources import files

from safemlrm.metrics.paired import Difference
from safemlrm.metrics.rates import clopper_pearson
from safemlrm.metrics.unpaired import newcombe_unpaired
from safemlrm.types import Channel, Estimate

NAME = "published"
"""What `safemlrm compare` calls these figures."""
SCORES = (0, 1, 2, 3, 4, 5)
CAVEATS = (
    "another judge gave its scores (GPT-4o-mini by a 1-5 rubric, and a list of refusal words)",
    "it asked other prompts (1,256 of MM-SafetyBench) under other settings",
    "it holds counts and no prompts: intervals are unpaired, and coupling is not available",
)
"""What to know of the table: a difference to it includes all of this beside the models."""


@dataclass(frozen=True, slots=True)
class Histogram:
    """How often each score was given to one channel of one model's cell.

    `counts` are of the scores 0 (a refusal word) to 5, `missing` of no score.
    """

    model: str
    attack: str
    scenario: str
    channel: str
    missing: int
    counts: tuple[int, ...]

    @property
    def scored(self) -> int:
        """The responses with a score."""
        return sum(self.counts)

    @property
    def n(self) -> int:
        """All responses."""
        return self.scored + self.missing

    def unsafe(self, unsafe_at: int) -> int:
        """Return how many scores reach the cut-off."""
        return sum(self.counts[unsafe_at:])

    def asr(self, unsafe_at: int) -> Estimate:
        """Return the attack success rate of the scored responses with its exact interval."""
        return clopper_pearson(self.unsafe(unsafe_at), self.scored)


@dataclass(frozen=True, slots=True)
class Published:
    """All that was published: the pairs (base, candidate), and a histogram a cell and channel."""

    citation: str
    pairs: tuple[tuple[str, str], ...]
    histograms: tuple[Histogram, ...]

    def of(self, model: str, channel: Channel = "full") -> tuple[Histogram, ...]:
        """Return a model's cells; none for a model that is not in the table."""
        return tuple(h for h in self.histograms if (h.model, h.channel) == (model, channel))


@lru_cache(maxsize=1)
def published() -> Published:
    """Return the table."""
    data = json.loads(files(__name__).joinpath("scores.json").read_text("utf-8"))
    rows = (
        Histogram(model, attack, scenario, channel, missing, tuple(counts))
        for model, attack, scenario, channel, missing, *counts in data["rows"]
    )
    pairs = tuple((str(base), str(candidate)) for base, candidate in data["pairs"])
    return Published(data["citation"], pairs, tuple(rows))


def pooled(cells: Iterable[Histogram], unsafe_at: int) -> Estimate:
    """Return the rate over several cells together, prompts weighed alike."""
    found = list(cells)
    return clopper_pearson(sum(h.unsafe(unsafe_at) for h in found), sum(h.scored for h in found))


def difference(ours: Estimate, theirs: Estimate) -> Difference:
    """Return ours minus theirs with an unpaired interval; nan where one of them has no prompt."""
    return newcombe_unpaired(ours.successes, ours.n, theirs.successes, theirs.n)
