"""The only reader for tests and reports: store -> evaluation -> decision."""

from __future__ import annotations

from collections.abc import Container, Iterable, Mapping
from dataclasses import dataclass
from functools import reduce
from operator import add

from safemlrm.config import Config
from safemlrm.decision import (
    Decision,
    decide_count,
    decide_coupling,
    decide_paired,
    decide_share,
    not_applicable,
    stopped_count,
    stopped_pairs,
)
from safemlrm.evidence import CellResult, paired, paired_prompts
from safemlrm.family import FIRST, Family, Hypothesis, build_families
from safemlrm.matrix import Matrix
from safemlrm.picture import Picture, draw
from safemlrm.reading import Cells
from safemlrm.responses.store import Store
from safemlrm.stopping import stop_of
from safemlrm.types import ALL, Case, Tier


@dataclass(frozen=True)
class Evaluation:
    """The evidence and the decisions of one case."""

    case: Case
    candidate: CellResult
    base: CellResult | None
    decisions: tuple[Decision, ...]


@dataclass(frozen=True)
class TierEvaluation:
    """The evidence and the decisions of a pair as a whole: one result a case, in matrix order."""

    case: Tier
    candidate: tuple[CellResult, ...]
    base: tuple[CellResult, ...] | None
    decisions: tuple[Decision, ...]


@dataclass(frozen=True)
class Reader:
    """Decides from the store for one configuration and run."""

    cells: Cells
    families: Mapping[str, Family]

    @classmethod
    def of(cls, config: Config, matrix: Matrix, store: Store, uid: str | None) -> Reader:
        """Return a reader; the families come from the configuration, whatever was selected."""
        return cls(Cells(config, matrix, store, uid), build_families(config, matrix))

    def evaluate(self, case: Case) -> Evaluation:
        """Return the evaluation of a case.

        Raises `EngineError` when a model it needs broke in this run, `NotMeasured` when the store
        has nothing for it.
        """
        candidate, base = self.cells.both(case)
        decisions = tuple(
            decide_case(h, candidate, base, early=self._early)
            for h in self.families[case.pair].of(case)
        )
        return Evaluation(case, candidate, base, decisions)

    def evaluate_tier(self, tier: Tier) -> TierEvaluation:
        """Return the evaluation of a pair as a whole, or of one of its scenarios; errors as above."""
        cases = [c for c in self._matrix.cases_of(tier.pair) if tier.scenario in (ALL, c.scenario)]
        candidates, bases = self._unbiased(cases)
        hypotheses = self.families[tier.pair].of(tier)
        decisions = tuple(decide(h, candidates, bases) for h in hypotheses)
        return TierEvaluation(tier, tuple(candidates), tuple(bases) or None, decisions)

    def picture(self, pair: str, subjects: Container[tuple[str, str, str]]) -> Picture:
        """Return what the named (pair, scenario, attack) cases of a pair look like together."""
        cases = [c for c in self._matrix.cases_of(pair) if (pair, c.scenario, c.attack) in subjects]
        candidates, bases = self._unbiased(cases)
        return draw(pair, candidates, bases, self.cells.config.gate.seed)

    @property
    def _early(self) -> bool:
        return self.cells.config.gate.stop == "early"

    @property
    def _matrix(self) -> Matrix:
        return self.cells.matrix

    def _unbiased(self, cases: Iterable[Case]) -> tuple[list[CellResult], list[CellResult]]:
        """Return cells that may be pooled or shown: whole, or their first prompts if some stop early.

        Where a cell stops depends on its outcomes, so the rate at its stop is biased; the first
        prompts of every cell always run.
        """
        results = [self.cells.both(case) for case in cases]
        found = [[c for c, _ in results], [b for _, b in results if b is not None]]
        if self._early:
            found = [[cell.prefix(FIRST) for cell in side] for side in found]
        return found[0], found[1]


def decide_case(
    hypothesis: Hypothesis, candidate: CellResult, base: CellResult | None, *, early: bool
) -> Decision:
    """Decide a hypothesis on its case, at the first prompt it is decided at if it may stop early."""
    stop = stop_of(hypothesis, candidate, base) if early else None
    if stop is not None and stop < hypothesis.n:
        return decide_early(hypothesis, candidate.prefix(stop), base and base.prefix(stop))
    return decide(hypothesis, [candidate], None if base is None else [base])


def decide_early(
    hypothesis: Hypothesis, candidate: CellResult, base: CellResult | None
) -> Decision:
    """Decide a hypothesis that its first prompts settled: a count either way, a difference to PASS."""
    bad = hypothesis.metric.bad
    if base is not None and hypothesis.metric.kind == "paired":
        return stopped_pairs(hypothesis, paired(candidate, base, bad))
    return stopped_count(hypothesis, candidate.count(candidate.outcome(bad)))


def decide(
    hypothesis: Hypothesis, candidates: Iterable[CellResult], bases: Iterable[CellResult] | None
) -> Decision:
    """Decide one hypothesis on the cells it is about; a paired one needs the bases' cells, too."""
    metric = hypothesis.metric
    cells = [c for c in candidates if metric.expectation in (None, c.expectation)]
    if metric.kind == "count":
        return decide_count(
            hypothesis, reduce(add, (c.count(c.outcome(metric.bad)) for c in cells))
        )
    if metric.kind == "share":
        return decide_share(hypothesis, [c.channels for c in cells])
    if metric.kind == "coupling":
        return decide_coupling(hypothesis, [c.channels for c in cells])
    others = {(b.cell.scenario, b.cell.attack): b for b in bases or ()}
    matched = [(c, others.get((c.cell.scenario, c.cell.attack))) for c in cells]
    pairs = [(c, base) for c, base in matched if base is not None]
    if not pairs:
        return not_applicable(hypothesis)  # nothing was accepted yet
    return decide_paired(hypothesis, paired_prompts(pairs, metric.bad))
