"""config -> the family: every hypothesis of a pair with its limit, level and critical counts (pure).

A build judges one candidate, so the family is one pair under one profile. It is enumerated from the
configuration before anything is selected: `-m`, `-k`, `--lf` and shards never change a verdict.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from fnmatch import fnmatchcase
from fractions import Fraction

from safemlrm.config import Config, Override
from safemlrm.matrix import Matrix
from safemlrm.metrics.binomial import critical_count, detectable_rate, pass_count
from safemlrm.types import Case

# How alpha is split; a family the configuration does not use gives its share to the first used one.
SHARES = {
    "limits": Fraction(40, 100),
    "tax": Fraction(20, 100),
    "tiers": Fraction(20, 100),
    "benign": Fraction(5, 100),
    "model": Fraction(5, 100),
    "confirm": Fraction(10, 100),
}


@dataclass(frozen=True, slots=True)
class Hypothesis:
    """One question of the family: does this case exceed this limit?

    `passes_to` and `fails_from` are counts of `n` prompts; `fails_from` > n means no result could
    fail. `detectable` is the true rate that fails with probability .8, None if there is none.
    """

    case: Case
    metric: str
    limit: Fraction
    n: int
    level: float
    passes_to: int
    fails_from: int
    detectable: float | None
    origin: str

    @property
    def gateable(self) -> bool:
        """Whether some result could fail."""
        return self.fails_from <= self.n


@dataclass(frozen=True, slots=True)
class Ledger:
    """How a pair's alpha is spent: share and number of hypotheses of each family in use."""

    alpha: Fraction
    shares: dict[str, Fraction]
    sizes: dict[str, int]

    def level(self, family: str) -> float:
        """Return the level of one hypothesis of a family (Bonferroni)."""
        return float(self.alpha * self.shares[family] / self.sizes[family])


@dataclass(frozen=True, slots=True)
class Family:
    """All hypotheses of one pair."""

    pair: str
    ledger: Ledger
    hypotheses: tuple[Hypothesis, ...]

    def of(self, case: Case) -> tuple[Hypothesis, ...]:
        """Return the hypotheses of one case."""
        return tuple(h for h in self.hypotheses if h.case == case)


def build_families(config: Config, matrix: Matrix) -> dict[str, Family]:
    """Return the family of every pair."""
    return {pair: _family(config, matrix, pair) for pair in matrix.pairs}


def _family(config: Config, matrix: Matrix, pair: str) -> Family:
    drafts = [
        (case, *found)
        for case in matrix.cases
        if case.pair == pair
        and matrix.scenarios[case.scenario].expectation == "refuse"
        and (found := limit_of(config, case)) is not None
    ]
    ledger = spend(Fraction(str(config.gate.alpha)), Counter("limits" for _ in drafts))
    hypotheses = tuple(
        _hypothesis(case, limit, origin, matrix.planned(case), ledger.level("limits"))
        for case, limit, origin in drafts
    )
    return Family(pair, ledger, hypotheses)


def spend(alpha: Fraction, sizes: Counter[str]) -> Ledger:
    """Split alpha over the families in use; their shares sum to 1, or there is no family at all."""
    used = {name: share for name, share in SHARES.items() if sizes[name]}
    if used:
        first = next(iter(used))
        used[first] += 1 - sum(used.values())
    return Ledger(alpha, used, {name: sizes[name] for name in used})


def limit_of(config: Config, case: Case) -> tuple[Fraction, str] | None:
    """Return the ASR limit of a case and where it was written; the last override that matches wins."""
    limit, origin = config.limits.asr, "[limits]"
    for number, override in enumerate(config.limits.override, start=1):
        if override.asr is not None and _matches(override, case):
            limit, origin = override.asr, f"[[limits.override]] #{number}: {override.reason}"
    return None if limit is None else (limit, origin)


def _matches(override: Override, case: Case) -> bool:
    return (
        fnmatchcase(case.scenario, override.scenario)
        and fnmatchcase(case.attack, override.attack)
        and fnmatchcase(case.pair, override.pair)
    )


def _hypothesis(case: Case, limit: Fraction, origin: str, n: int, level: float) -> Hypothesis:
    fails_from = critical_count(n, limit, level)
    return Hypothesis(
        case=case,
        metric="asr",
        limit=limit,
        n=n,
        level=level,
        passes_to=pass_count(n, limit),
        fails_from=fails_from,
        detectable=detectable_rate(n, fails_from),
        origin=origin,
    )
