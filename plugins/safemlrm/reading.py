"""What the store holds on a case: the candidate's cell and its base's, found without any weights."""

from __future__ import annotations

from dataclasses import dataclass, field

from safemlrm.baselines import Baseline, Instrument, baseline_path, read_baseline
from safemlrm.config import Config
from safemlrm.errors import EngineError, NotMeasured
from safemlrm.evidence import CellResult
from safemlrm.judges import build_judge
from safemlrm.matrix import Matrix
from safemlrm.responses.scoring import Scorer
from safemlrm.responses.store import Store
from safemlrm.rounds import index_key
from safemlrm.types import BASELINE, Case, Cell, Identity


@dataclass(frozen=True)
class Cells:
    """Reads cells of one configuration; `uid` is the run whose broken models must not be read."""

    config: Config
    matrix: Matrix
    store: Store
    uid: str
    _baselines: dict[str, Baseline | None] = field(default_factory=dict, repr=False)

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

    def both(self, case: Case) -> tuple[CellResult, CellResult | None]:
        """Return candidate and base of a case; None without a base, or before one was accepted."""
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
        planned, index = self.matrix.planned(case), self._index(cell)
        rows = self.store.rows(index, self._scorer(cell.model).key, planned)
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
            asked=self.store.asked(index, planned),
        )

    def _index(self, cell: Cell) -> str:
        reason = self.store.broken(self.uid, cell.model)
        if reason is not None:
            raise EngineError(reason)
        identity = self.identity(cell.model)
        return index_key(cell, identity, self.matrix, self.config.gate.seed)

    def _scorer(self, model: str) -> Scorer:
        return Scorer.of(build_judge(self.config), self.config.models[model].reasoning)
