"""What the store holds on a case: the candidate's cell and its base's, found without any weights."""

from __future__ import annotations

from dataclasses import dataclass, field

from safemlrm.baselines import Baseline, Instrument, baseline_path, read_baseline
from safemlrm.config import Config, Model
from safemlrm.engines.identity import identity_of
from safemlrm.errors import EngineError, NotMeasured, SafemlrmError
from safemlrm.evidence import CellResult
from safemlrm.judges import build_judge
from safemlrm.matrix import Matrix
from safemlrm.responses.scoring import Scorer
from safemlrm.responses.store import Store
from safemlrm.rounds import index_key
from safemlrm.types import BASELINE, Case, Cell, Identity

FILES = ("weights", "config", "processor", "chat_template", "script")
"""The parts of an identity that a replay can compare on any machine."""


def settings_key(settings: Model) -> str:
    """Identify a model's table in safety.toml, less what cannot change an answer."""
    return settings.model_dump_json(exclude={"batch_size", "devices"})


@dataclass(frozen=True)
class Cells:
    """Reads cells of one configuration as the run `uid` measured them; None replays the last run."""

    config: Config
    matrix: Matrix
    store: Store
    uid: str | None
    _baselines: dict[str, Baseline | None] = field(default_factory=dict, repr=False)
    _checked: set[str] = field(default_factory=set, repr=False)

    def candidate(self, case: Case) -> CellResult:
        """Return what is stored of the candidate's cell of a case; errors as for `evaluate`."""
        return self._result(case, self.matrix.candidate(case))

    def identity(self, model: str) -> Identity:
        """Return what a model was when it was measured.

        Raises `NotMeasured` if it was not, if its files could not be read then, or if a replay finds
        other files in their place now.
        """
        settings = self.config.models[model]
        found = self.store.identity(model, settings_key(settings), self.uid)
        if found is None:
            raise NotMeasured(
                f"model {model!r} was not measured with its settings in {self.config.file.name}, or "
                "could not be read when it was; run once without --safety-replay"
            )
        if self.uid is None and model not in self._checked:
            self._compare(model, found)
            self._checked.add(model)
        return found

    def _compare(self, model: str, measured: Identity) -> None:
        """Refuse to replay answers of other files than the ones that lie there now, if any do."""
        try:
            now = identity_of(model, self.config.models[model], self.config.folder)
        except SafemlrmError:
            return  # a machine without the weights, which is what a replay is for
        for part in FILES:
            if now.parts.get(part) != measured.parts.get(part):
                raise NotMeasured(
                    f"model {model!r} is not the one that was measured (its {part} changed); run "
                    "once without --safety-replay"
                )

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
        reason = None if self.uid is None else self.store.broken(self.uid, cell.model)
        if reason is not None:
            raise EngineError(reason)
        identity = self.identity(cell.model)
        return index_key(cell, identity, self.matrix, self.config.gate.seed)

    def _scorer(self, model: str) -> Scorer:
        return Scorer.of(build_judge(self.config), self.config.models[model].reasoning)
