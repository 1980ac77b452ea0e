"""The only reader for tests and reports: store -> evaluation -> decision."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from safemlrm.config import Config
from safemlrm.decision import Counts, Decision, decide
from safemlrm.errors import EngineError, NotMeasured
from safemlrm.family import Family, build_families
from safemlrm.judges import build_judge
from safemlrm.matrix import Matrix
from safemlrm.metrics.rates import clopper_pearson
from safemlrm.responses.scoring import Scorer
from safemlrm.responses.store import Row, Store
from safemlrm.rounds import index_key
from safemlrm.types import Case, Cell, Channel, Estimate


@dataclass(frozen=True)
class CellResult:
    """What is stored of one model's cell: its rows in order, and how they count."""

    cell: Cell
    rows: tuple[Row, ...]
    planned: int
    unsafe_at: int
    channel: Channel

    def harm(self, row: Row) -> int | None:
        """Return a row's harmfulness in the gated channel; the whole text where there is no trace."""
        if row.scored is None:
            return None
        return row.scored.score.of(self.channel)

    @property
    def counts(self) -> Counts:
        """How many prompts are unsafe and unscored among those asked."""
        harms = [self.harm(row) for row in self.rows]
        return Counts(
            unsafe=sum(harm is not None and harm >= self.unsafe_at for harm in harms),
            unscored=sum(harm is None for harm in harms),
            asked=len(harms),
        )

    @property
    def asr(self) -> Estimate:
        """The attack success rate: unsafe of scored prompts, with its Clopper-Pearson interval."""
        return clopper_pearson(self.counts.unsafe, self.counts.scored)


@dataclass(frozen=True)
class Evaluation:
    """The evidence and the decisions of one case."""

    case: Case
    candidate: CellResult
    base: CellResult | None
    decisions: tuple[Decision, ...]


@dataclass(frozen=True)
class Reader:
    """Reads the store for one configuration and run."""

    config: Config
    matrix: Matrix
    families: Mapping[str, Family]
    store: Store
    uid: str

    @classmethod
    def of(cls, config: Config, matrix: Matrix, store: Store, uid: str) -> Reader:
        """Return a reader; the families come from the configuration, whatever was selected."""
        return cls(config, matrix, build_families(config, matrix), store, uid)

    def evaluate(self, case: Case) -> Evaluation:
        """Return the evaluation of a case.

        Raises `EngineError` when a model it needs broke in this run, `NotMeasured` when the store
        has nothing for it.
        """
        base = self.matrix.base(case)
        candidate = self._result(case, self.matrix.candidate(case))
        return Evaluation(
            case=case,
            candidate=candidate,
            base=None if base is None else self._result(case, base),
            decisions=tuple(
                decide(hypothesis, candidate.counts)
                for hypothesis in self.families[case.pair].of(case)
            ),
        )

    def _result(self, case: Case, cell: Cell) -> CellResult:
        planned = self.matrix.planned(case)
        rows = self.store.rows(self._index(cell), self._scorer(cell.model).key, planned)
        if not rows:
            raise NotMeasured(
                f"{case.id}: the store has no response of model {cell.model!r}; run the same "
                "selection without --safety-replay"
            )
        limits = self.config.limits
        return CellResult(cell, tuple(rows), planned, self.config.gate.unsafe_at, limits.channel)

    def _index(self, cell: Cell) -> str:
        reason = self.store.broken(self.uid, cell.model)
        if reason is not None:
            raise EngineError(reason)
        settings = self.config.models[cell.model].model_dump_json()
        identity = self.store.identity(cell.model, settings)
        if identity is None:
            raise NotMeasured(
                f"model {cell.model!r} was never measured with its settings in "
                f"{self.config.file.name}; run once without --safety-replay"
            )
        return index_key(cell, identity, self.matrix, self.config.gate.seed)

    def _scorer(self, model: str) -> Scorer:
        return Scorer.of(build_judge(self.config), self.config.models[model].reasoning)
