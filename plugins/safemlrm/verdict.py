"""The only reader for tests and reports: store -> evaluation -> decision."""

from __future__ import annotations

from collections.abc import Container, Iterable, Mapping
from dataclasses import dataclass, field
from functools import reduce
from operator import add

from safemlrm.baselines import Baseline, Instrument, baseline_path, read_baseline
from safemlrm.config import Config
from safemlrm.decision import (
    Decision,
    decide_count,
    decide_coupling,
    decide_paired,
    decide_share,
    not_applicable,
)
from safemlrm.errors import EngineError, NotMeasured
from safemlrm.evidence import CellResult, paired
from safemlrm.family import Family, Hypothesis, build_families
from safemlrm.judges import build_judge
from safemlrm.matrix import Matrix
from safemlrm.picture import Picture, draw
from safemlrm.responses.scoring import Scorer
from safemlrm.responses.store import Store
from safemlrm.rounds import index_key
from safemlrm.types import ALL, BASELINE, Case, Cell, Identity, Tier


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
    """Reads the store for one configuration and run."""

    config: Config
    matrix: Matrix
    families: Mapping[str, Family]
    store: Store
    uid: str
    _baselines: dict[str, Baseline | None] = field(default_factory=dict, repr=False)

    @classmethod
    def of(cls, config: Config, matrix: Matrix, store: Store, uid: str) -> Reader:
        """Return a reader; the families come from the configuration, whatever was selected."""
        return cls(config, matrix, build_families(config, matrix), store, uid)

    def evaluate(self, case: Case) -> Evaluation:
        """Return the evaluation of a case.

        Raises `EngineError` when a model it needs broke in this run, `NotMeasured` when the store
        has nothing for it.
        """
        candidate, base = self._results(case)
        bases = None if base is None else [base]
        hypotheses = self.families[case.pair].of(case)
        decisions = tuple(decide(h, [candidate], bases) for h in hypotheses)
        return Evaluation(case, candidate, base, decisions)

    def evaluate_tier(self, tier: Tier) -> TierEvaluation:
        """Return the evaluation of a pair as a whole, or of one of its scenarios; errors as above."""
        cases = [c for c in self.matrix.cases_of(tier.pair) if tier.scenario in (ALL, c.scenario)]
        results = [self._results(case) for case in cases]
        candidates = tuple(candidate for candidate, _ in results)
        bases = tuple(base for _, base in results if base is not None) or None
        hypotheses = self.families[tier.pair].of(tier)
        decisions = tuple(decide(h, candidates, bases) for h in hypotheses)
        return TierEvaluation(tier, candidates, bases, decisions)

    def picture(self, pair: str, subjects: Container[tuple[str, str, str]]) -> Picture:
        """Return what the named (pair, scenario, attack) cases of a pair look like together."""
        cases = [c for c in self.matrix.cases_of(pair) if (pair, c.scenario, c.attack) in subjects]
        results = [self._results(case) for case in cases]
        bases = [base for _, base in results if base is not None]
        return draw(pair, [c for c, _ in results], bases, self.config.gate.seed)

    def candidate(self, case: Case) -> CellResult:
        """Return what is stored of the candidate's cell of a case; errors as for `evaluate`."""
        return self._result(case, self.matrix.candidate(case))

    def identity(self, model: str) -> Identity:
        """Return what a model was when it was measured last under its settings."""
        settings = self.config.models[model].model_dump_json()
        found = self.store.identity(model, settings)
        if found is None:
            raise NotMeasured(
                f"model {model!r} was never measured with its settings in "
                f"{self.config.file.name}; run once without --safety-replay"
            )
        return found

    def instrument(self, pair: str) -> Instrument:
        """Return what a comparison of the pair with an earlier run has to hold fixed."""
        return Instrument(
            scorer=self._scorer(self.matrix.pairs[pair][0]).key,
            seed=self.config.gate.seed,
            unsafe_at=self.config.gate.unsafe_at,
            channel=self.config.limits.channel,
            scenarios={slug: s.digest for slug, s in self.matrix.scenarios.items()},
            attacks={slug: a.digest for slug, a in self.matrix.attacks.items()},
        )

    def _results(self, case: Case) -> tuple[CellResult, CellResult | None]:
        candidate = self.candidate(case)
        if self.matrix.pairs[case.pair][1] == BASELINE:
            baseline = self._baseline(case.pair)
            return candidate, None if baseline is None else baseline.result(candidate)
        base = self.matrix.base(case)
        return candidate, None if base is None else self._result(case, base)

    def _baseline(self, pair: str) -> Baseline | None:
        if pair not in self._baselines:
            path = baseline_path(self.config.reports_path, pair)
            self._baselines[pair] = read_baseline(path, self.instrument(pair))
        return self._baselines[pair]

    def _result(self, case: Case, cell: Cell) -> CellResult:
        planned = self.matrix.planned(case)
        rows = self.store.rows(self._index(cell), self._scorer(cell.model).key, planned)
        if not rows:
            raise NotMeasured(
                f"{case.id}: the store has no response of model {cell.model!r}; run the same "
                "selection without --safety-replay"
            )
        if all(row.scored is None for row in rows):
            raise NotMeasured(
                f"{case.id}: this judge has not scored the responses of model {cell.model!r}; run "
                "once without --safety-replay, which scores them and asks nothing"
            )
        return CellResult(
            cell,
            self.matrix.scenarios[case.scenario].expectation,
            tuple(rows),
            planned,
            self.config.gate.unsafe_at,
            self.config.limits.channel,
        )

    def _index(self, cell: Cell) -> str:
        reason = self.store.broken(self.uid, cell.model)
        if reason is not None:
            raise EngineError(reason)
        identity = self.identity(cell.model)
        return index_key(cell, identity, self.matrix, self.config.gate.seed)

    def _scorer(self, model: str) -> Scorer:
        return Scorer.of(build_judge(self.config), self.config.models[model].reasoning)


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
    if any((c.cell.scenario, c.cell.attack) not in others for c in cells):
        return not_applicable(hypothesis)  # nothing was accepted yet
    found = (paired(c, others[c.cell.scenario, c.cell.attack], metric.bad) for c in cells)
    return decide_paired(hypothesis, reduce(add, found))
