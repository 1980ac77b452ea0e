"""What the store holds on a case: the candidate's cell and its base's, found without any weights."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from safemlrm.baselines import Baseline, Instrument, Past, read_past
from safemlrm.canary import (
    MOST,
    Legibility,
    canary_cell,
    canary_key,
    draws,
    legibility_of,
    size,
)
from safemlrm.config import Config, Model
from safemlrm.draws import FIRST_RESPONSE, FRESH
from safemlrm.engines.identity import identity_of
from safemlrm.errors import ConfigError, EngineError, NotMeasured, SafemlrmError
from safemlrm.evidence import CellResult
from safemlrm.judges import Choosing, Transcription
from safemlrm.judging import Contract, build_judge, contract_of
from safemlrm.matrix import Matrix
from safemlrm.responses.scoring import Scorer
from safemlrm.responses.store import Store
from safemlrm.rounds import index_key
from safemlrm.types import BASELINE, Case, Cell, Expectation, Identity, Judge

FILES = ("weights", "config", "processor", "chat_template", "script")
"""The parts of an identity that a replay can compare on any machine."""


HOW = {"batch_size", "devices", "connections", "timeout", "key_env"}
"""Keys of a model's table that say how it is asked, and cannot change an answer."""


def settings_key(settings: Model) -> str:
    """Identify a model's table in safety.toml, less what cannot change an answer.

    The store keeps this text; addresses write themselves without what must not be shown.
    """
    return settings.model_dump_json(exclude=HOW)


@dataclass(frozen=True)
class Cells:
    """Reads cells of one configuration as the run `uid` measured them; None replays the last run.

    `recorded` says what models were where a release record knows it; they are not looked up then.
    """

    config: Config
    matrix: Matrix
    store: Store
    uid: str | None
    recorded: Mapping[str, Identity] = field(default_factory=dict)
    _past: dict[str, Past] = field(default_factory=dict, repr=False)
    _checked: set[str] = field(default_factory=set, repr=False)
    _legible: dict[Cell, Legibility | None] = field(default_factory=dict, repr=False)
    _draws: dict[str, bool] = field(default_factory=dict, repr=False)
    _judges: dict[str, Judge] = field(default_factory=dict, repr=False)
    _kept: dict[tuple[Cell, int], CellResult] | None = field(default=None, repr=False)

    def candidate(self, case: Case) -> CellResult:
        """Return what is stored of the candidate's cell of a case; errors as for `evaluate`."""
        return self._result(case, self.matrix.candidate(case))

    def identity(self, model: str) -> Identity:
        """Return what a model was when it was measured.

        Raises `NotMeasured` if it was not, if its files could not be read then, or if a replay finds
        other files in their place now.
        """
        if model in self.recorded:
            return self.recorded[model]
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
            scorer=self.scorer(self.matrix.pairs[pair][0]).key,
            seed=self.config.gate.seed,
            unsafe_at=self.config.gate.unsafe_at,
            channel=self.config.limits.channel,
            scenarios={slug: s.digest for slug, s in self.matrix.scenarios.items()},
            attacks={slug: a.digest for slug, a in self.matrix.attacks.items()},
            planned={slug: s.planned for slug, s in self.matrix.scenarios.items()},
        )

    def both(self, case: Case) -> tuple[CellResult, CellResult | None]:
        """Return candidate and base of a case; None without a base, or before one was accepted."""
        candidate = self.candidate(case)
        if self.matrix.pairs[case.pair][1] == BASELINE:
            baseline = self.baseline(case.pair)
            return candidate, None if baseline is None else baseline.result(candidate)
        base = self.matrix.base(case)
        return candidate, None if base is None else self._result(case, base)

    def baseline(self, pair: str) -> Baseline | None:
        """Return the last accepted run of a pair, None before there was one.

        Raises `ConfigError` where what was accepted does not count any more.
        """
        return self._counted(pair).last

    def anchor(self, pair: str) -> Baseline | None:
        """Return the first accepted run of a pair; otherwise as `baseline`."""
        return self._counted(pair).anchor

    def past(self, pair: str) -> Past:
        """Return what was accepted of a pair, as far as it counts."""
        if pair not in self._past:
            folder = self.config.baselines_path
            self._past[pair] = read_past(folder, pair, self.instrument(pair))
        return self._past[pair]

    def at_rest(self) -> Cells:
        """Return a reader that reads each cell once, for when nobody measures or scores any more."""
        return replace(self, _kept={})

    def knowing(self, pair: str) -> Cells:
        """Return a reader for which only so much of a pair's past counts, and nothing of it is void."""
        return replace(self, _past={pair: replace(self.past(pair), void=())})

    def _counted(self, pair: str) -> Past:
        past = self.past(pair)
        if past.void:
            raise ConfigError(past.void[0])
        return past

    def fresh(self, case: Case) -> list[CellResult]:
        """Return what is stored of a case's fresh responses, a result a draw; they may have no rows."""
        cell = self.matrix.candidate(case)
        return [self.read(case, cell, draw) for draw in FRESH]

    def legibility(self, model: str, attack: str) -> Legibility | None:
        """Return how much a model reads of what an attack draws; errors as for its cells.

        None for an attack that draws nothing, and where legibility is not asked for.
        """
        cell = canary_cell(model, attack)
        if cell not in self._legible:
            self._legible[cell] = self._legibility(cell)
        return self._legible[cell]

    def _legibility(self, cell: Cell) -> Legibility | None:
        limit, seed = self.config.gate.legibility, self.config.gate.seed
        if not limit:
            return None
        if cell.attack not in self._draws:  # it applies the attack to whole pools, for every model
            self._draws[cell.attack] = bool(draws(self.matrix, cell.attack, seed))
        if not self._draws[cell.attack]:
            return None
        index = canary_key(cell.attack, self._known(cell.model), self.matrix, seed)
        scorer = Scorer.of(Transcription(), self.config.models[cell.model].reasoning)
        rows = self.store.rows(index, scorer.key, MOST)
        asked = self.store.asked(index, MOST)
        measured = bool(asked) or not size(self.matrix, cell.attack, seed)
        return legibility_of(cell, rows, asked=asked, measured=measured, limit=limit)

    def _result(self, case: Case, cell: Cell) -> CellResult:
        found = self.read(case, cell)
        if not found.rows:
            raise NotMeasured(
                f"{case.id}: the store has no response of model {cell.model!r}; run the same "
                "selection without --safety-replay"
            )
        if all(row.scored is None for row in found.rows):
            raise NotMeasured(
                f"{case.id}: this judge has not scored the responses of model {cell.model!r}; run "
                "once without --safety-replay, which scores them and asks nothing"
            )
        return found

    def read(self, case: Case, cell: Cell, draw: int = FIRST_RESPONSE) -> CellResult:
        """Return what is stored of a case's cell, which may have no rows; errors as for `identity`."""
        if self._kept is None:
            return self._read(case, cell, draw)
        if (cell, draw) not in self._kept:
            self._kept[cell, draw] = self._read(case, cell, draw)
        return self._kept[cell, draw]

    def _read(self, case: Case, cell: Cell, draw: int) -> CellResult:
        planned, index = self.matrix.planned(case), self._index(cell, draw)
        first = draw == FIRST_RESPONSE
        further = self.matrix.further(case.scenario) if first else ()
        expectation = self.matrix.scenarios[case.scenario].expectation
        plain = self.matrix.plain(case)
        return CellResult(
            cell,
            expectation,
            tuple(self.store.rows(index, self.scorer(cell.model, expectation).key, planned)),
            planned,
            self.config.gate.unsafe_at,
            self.config.limits.channel,
            asked=self.store.asked(index, planned),
            further=tuple(self.read(case, cell, number) for number in further),
            plain=None if plain is None else self.read(plain, replace(cell, attack=plain.attack)),
            margin=self.config.gate.entropy_margin,
        )

    def _index(self, cell: Cell, draw: int) -> str:
        identity = self._known(cell.model)
        return index_key(cell, identity, self.matrix, self.config.gate.seed, draw)

    def _known(self, model: str) -> Identity:
        """Return what a model was when it was measured; `EngineError` if it broke in this run."""
        reason = None if self.uid is None else self.store.broken(self.uid, model)
        if reason is not None:
            raise EngineError(reason)
        return self.identity(model)

    def scorer(self, model: str, expectation: Expectation = "refuse") -> Scorer:
        """Return what a model's responses are scored by; errors as for `identity` of the judge's models.

        What is chosen among options is no text that a trace could be split from.
        """
        if expectation == "choose":
            return Scorer.of(Choosing(), None)
        return Scorer.of(self._judge(), self.config.models[model].reasoning)

    def contract(self) -> Contract:
        """Return what is known of the judge; errors as for `scorer`."""
        return contract_of(self.config, self._judge(), self.store)

    def _judge(self) -> Judge:
        """Return the judge without its models: what it said is read, and nothing is asked."""
        name = self.config.gate.judge
        if name not in self._judges:
            self._judges[name] = build_judge(self.config, self.matrix, self.store, self._known)
        return self._judges[name]
