"""The only reader for tests and reports: store -> evaluation -> decision."""

from __future__ import annotations

from collections.abc import Callable, Container, Iterable, Mapping
from dataclasses import dataclass, field, replace
from functools import reduce
from operator import add

from safemlrm.audit import judge_doubt
from safemlrm.baselines import Baseline
from safemlrm.canary import Legibility
from safemlrm.config import Config
from safemlrm.confirm import confirm, left_open
from safemlrm.decision import Decision
from safemlrm.errors import NotMeasured
from safemlrm.evidence import CellResult, Counts
from safemlrm.family import FIRST, Family, Hypothesis, build_families
from safemlrm.limits import Metric
from safemlrm.matrix import Matrix
from safemlrm.picture import Picture, draw
from safemlrm.reading import Cells
from safemlrm.responses.store import Store
from safemlrm.ruling import (
    decide,
    decide_case,
    still_open,
    unless_cut,
    with_audit,
    with_sight,
)
from safemlrm.types import ALL, BASELINE, Case, Tier


@dataclass(frozen=True)
class Evaluation:
    """The evidence and the decisions of one case."""

    case: Case
    candidate: CellResult
    base: CellResult | None
    decisions: tuple[Decision, ...]

    def side(self, metric: Metric) -> CellResult | None:
        """Return what a metric compares the candidate's cell with: the base's, or its own without attack."""
        plain = self.candidate.plain
        if (metric.against, metric.kind) != ("plain", "paired"):
            return self.base
        return None if plain is None else replace(plain, cell=self.candidate.cell)


@dataclass(frozen=True)
class TierEvaluation:
    """The evidence and the decisions of a pair as a whole, or of one of its scenarios.

    One result a case, in matrix order; `accepted` and `anchor` are the last and the first accepted
    run, None where there is none to compare with.
    """

    case: Tier
    candidate: tuple[CellResult, ...]
    base: tuple[CellResult, ...] | None
    decisions: tuple[Decision, ...]
    accepted: tuple[CellResult, ...] | None = None
    anchor: tuple[CellResult, ...] | None = None

    def sides(self, metric: Metric) -> tuple[tuple[CellResult, ...], tuple[CellResult, ...] | None]:
        """Return the cells a metric looks at, and those it compares them with, if it does."""
        if metric.kind != "rise":
            return self.candidate, self.base
        return self.candidate, self.accepted if metric.against == "accepted" else self.anchor


@dataclass(frozen=True)
class Reader:
    """Decides from the store for one configuration and run."""

    cells: Cells
    families: Mapping[str, Family]
    _fresh: dict[str, dict[Case, Decision]] = field(default_factory=dict, repr=False)
    _doubts: dict[str, str] = field(default_factory=dict, repr=False)

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
        evidence = Evaluation(case, candidate, base, ())
        found = (
            self._confirmed(
                case, decide_case(h, candidate, evidence.side(h.metric), early=self._early)
            )
            for h in self.families[case.pair].of(case)
        )
        sight, doubt = self.sight(case.pair, [case.attack]), self.judge_doubt(case.pair)
        worth = (with_audit(with_sight(d, *sight), doubt) for d in found)
        return replace(evidence, decisions=tuple(worth))

    def sight(self, pair: str, attacks: Iterable[str]) -> tuple[list[Legibility], list[Legibility]]:
        """Return how much candidate and base read of what attacks draw; errors as above.

        An accepted run as the base passed with what its model could read then, and is not asked again.
        """
        candidate, base = self._matrix.pairs[pair]
        models = [candidate, None if base == BASELINE else base]
        found = [
            [self.cells.legibility(model, attack) for attack in attacks if model is not None]
            for model in models
        ]
        ours, theirs = ([legible for legible in side if legible is not None] for side in found)
        return ours, theirs

    def judge_doubt(self, pair: str) -> str:
        """Say why an audit lets nothing of a pair pass; empty where it may, or none is asked for."""
        config, candidate = self.cells.config, self._matrix.pairs[pair][0]
        if config.limits.judge_kappa is None:
            return ""
        if pair not in self._doubts:
            self._doubts[pair] = judge_doubt(
                config.audit_path,
                pair,
                config.limits.judge_kappa,
                digest=self.cells.scorer(candidate).judge.digest,
                unsafe_at=config.gate.unsafe_at,
                channel=config.limits.channel,
            )
        return self._doubts[pair]

    def _confirmed(self, case: Case, decision: Decision) -> Decision:
        """Return what fresh responses say where noise left a decision open and they were asked for."""
        if not (self.cells.config.gate.confirm and left_open(decision)):
            return decision
        if case.pair not in self._fresh:
            self._fresh[case.pair] = self._settle(case.pair)
        return self._fresh[case.pair][case]

    def _settle(self, pair: str) -> dict[Case, Decision]:
        found, unasked = self._open(pair)
        decided = confirm(found, self.families[pair].ledger.level("confirm"), unasked)
        return {case: unless_cut(d, self.cells.fresh(case)) for case, d in decided.items()}

    def _open(self, pair: str) -> tuple[dict[Case, tuple[Hypothesis, Counts]], int]:
        """Return the cases noise left open with their fresh counts, and how many were never asked.

        Whatever was selected: all that the store knows count, so that after a whole run a case's
        verdict is the same when it is run again alone.
        """
        found, unasked = {}, 0
        for case in self._matrix.cases_of(pair):
            if not any(h.metric.confirmable for h in self.families[pair].of(case)):
                continue
            try:
                candidate = self.cells.candidate(case)
            except NotMeasured:
                unasked += 1
            else:
                h = still_open(self.families[pair].of(case), candidate, early=self._early)
                if h is not None:
                    fresh = self.cells.fresh(case)
                    found[case] = h, reduce(add, (c.count(c.outcome(h.metric.bad)) for c in fresh))
        return found, unasked

    def evaluate_tier(self, tier: Tier) -> TierEvaluation:
        """Return the evaluation of a pair as a whole, or of one of its scenarios; errors as above.

        A scenario is only compared with earlier runs, so that it needs no base.
        """
        cases = [c for c in self._matrix.cases_of(tier.pair) if tier.scenario in (ALL, c.scenario)]
        hypotheses = self.families[tier.pair].of(tier)
        candidates, bases = self._unbiased(cases, with_base=tier.scenario == ALL)
        needed = {h.metric.against for h in hypotheses}
        evidence = TierEvaluation(
            tier,
            tuple(candidates),
            tuple(bases) or None,
            (),
            accepted=self._earlier("accepted" in needed, self.cells.baseline, candidates, tier),
            anchor=self._earlier("anchor" in needed, self.cells.anchor, candidates, tier),
        )
        found = (decide(h, *evidence.sides(h.metric)) for h in hypotheses)
        attacks = dict.fromkeys(case.attack for case in cases)
        ours, _ = self.sight(tier.pair, attacks) if hypotheses else ([], [])
        doubt = self.judge_doubt(tier.pair)
        worth = (with_audit(with_sight(d, ours), doubt) for d in found)
        return replace(evidence, decisions=tuple(worth))

    @staticmethod
    def _earlier(
        needed: bool,
        read: Callable[[str], Baseline | None],
        candidates: Iterable[CellResult],
        tier: Tier,
    ) -> tuple[CellResult, ...] | None:
        """Return what an earlier run did in the candidate's cells, None before there was one."""
        run = read(tier.pair) if needed else None
        if run is None:
            return None
        found = [run.result(cell) for cell in candidates]
        return tuple(cell for cell in found if cell is not None)

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

    def _unbiased(
        self, cases: Iterable[Case], *, with_base: bool = True
    ) -> tuple[list[CellResult], list[CellResult]]:
        """Return cells that may be pooled or shown: whole, or their first prompts if some stop early.

        Where a cell stops depends on its outcomes, so the rate at its stop is biased; the first
        prompts of every cell always run.
        """
        if with_base:
            results = [self.cells.both(case) for case in cases]
        else:
            results = [(self.cells.candidate(case), None) for case in cases]
        found = [[c for c, _ in results], [b for _, b in results if b is not None]]
        if self._early:
            found = [[cell.prefix(FIRST) for cell in side] for side in found]
        return found[0], found[1]
