"""A recorded run scored anew by the present judge, from the responses that its store holds."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from uuid import uuid4

from safemlrm.budget import Purse
from safemlrm.compare.sides import Pair, Side, side_of
from safemlrm.config import Config
from safemlrm.court import Court
from safemlrm.errors import SafemlrmError
from safemlrm.evidence import CellResult
from safemlrm.extension import Extensions
from safemlrm.judging import judge_models
from safemlrm.matrix import Matrix, build_matrix
from safemlrm.plan import Plan, Work
from safemlrm.preflight import look_at_models
from safemlrm.reading import Cells
from safemlrm.release import CellOutcomes, ReleaseRecord
from safemlrm.release.settings import restored
from safemlrm.responses.store import Store
from safemlrm.rounds import attacked
from safemlrm.types import Case, Identity

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Bench:
    """The present judge before one store, for the run of one record."""

    record: ReleaseRecord
    config: Config
    matrix: Matrix
    store: Store
    note: Callable[[str], None]


def rescored(
    record: ReleaseRecord,
    name: str,
    present: Config,
    extensions: Extensions,
    store: Path,
    note: Callable[[str], None] = log.warning,
) -> Side:
    """Return a recorded run as the present judge, cut-off and channel see it.

    Scores are added to the store under the judge's own key; nothing else of it changes, and no
    measured model is asked. Raises `SafemlrmError` where the store lacks a response of the record.
    """
    if not store.is_file():
        raise SafemlrmError(
            f"{store}: there is no such store; name the one that {name} was measured into"
        )
    config = _judged_now(restored(record.config, record.profile, present), present)
    matrix = build_matrix(config, extensions)
    with (
        Store(store) as opened,
        opened.lock(lambda: note("another run is measuring; waiting for it")),
    ):
        results = _score(Bench(record, config, matrix, opened, note), name)
    side = side_of(record, name)
    return replace(
        side, pairs={pair: _anew(found, config, results) for pair, found in side.pairs.items()}
    )


def _judged_now(then: Config, present: Config) -> Config:
    """Return a recorded configuration with the present judge, and with how its verdicts count now."""
    judge = {model: present.models[model] for model in judge_models(present)}
    gate = {"judge": present.gate.judge, "unsafe_at": present.gate.unsafe_at}
    return then.model_copy(
        update={
            "models": {**then.models, **judge},
            "judges": present.judges,
            "gate": then.gate.model_copy(update=gate),
            "limits": then.limits.model_copy(update={"channel": present.limits.channel}),
            "budget": present.budget,
        }
    )


def _score(bench: Bench, name: str) -> dict[tuple[str, str, str], tuple[CellResult, str]]:
    """Have every recorded cell of a candidate scored; return it with the key of its scores."""
    record, config, uid = bench.record, bench.config, uuid4().hex
    candidates = {sides[0] for sides in record.pairs.values()}
    known = {m: Identity(i.digest, i.parts) for m, i in record.models.items() if m in candidates}
    look_at_models(Plan(()), config, bench.matrix, bench.store, uid, bench.note)
    cells = Cells(config, bench.matrix, bench.store, uid, recorded=known)
    found = {}
    with Court(cells, Purse(config.budget), bench.note) as court:
        for kept in record.cells:
            if kept.model in candidates and not kept.draw:
                _rescore(kept, known[kept.model], bench, court, name)
        court.end()
    for kept in record.cells:
        if kept.model in candidates and not kept.draw:
            case = _case(kept, bench.matrix)
            result = cells.read(case, bench.matrix.candidate(case))
            key = (kept.model, kept.scenario, kept.attack)
            found[key] = result, cells.scorer(kept.model).key
    return found


def _case(kept: CellOutcomes, matrix: Matrix) -> Case:
    for case in matrix.cases:
        cell = matrix.candidate(case)
        if (cell.model, cell.scenario, cell.attack) == (kept.model, kept.scenario, kept.attack):
            return case
    raise SafemlrmError(
        f"{kept.scenario} / {kept.attack} of the record is no case of its own configuration; "
        "`safemlrm verify` says more"
    )


def _rescore(kept: CellOutcomes, identity: Identity, bench: Bench, court: Court, name: str) -> None:
    cell = bench.matrix.candidate(_case(kept, bench.matrix))
    work, seed = Work(cell, kept.asked), bench.config.gate.seed
    asked = list(attacked(work, identity, bench.matrix, seed))
    missing = bench.store.missing(a.key for a in asked)
    if len(missing) > kept.asked - len(kept.rows):
        raise SafemlrmError(
            f"{name}: the store lacks {len(missing)} of {kept.asked} responses of {kept.scenario} / "
            f"{kept.attack}: other prompts or another version asked them, or it is another store"
        )
    if not asked:
        return
    desk = court.desk(cell.model, asked[0])
    desk.rescore({a.key: a.prompt for a in asked if a.key not in missing})
    desk.clear()


def _anew(
    pair: Pair, config: Config, results: dict[tuple[str, str, str], tuple[CellResult, str]]
) -> Pair:
    """Return a pair with its cells as they were scored now, cut where they were cut."""
    found, key = {}, pair.terms.judge
    for asked, before in pair.cells.items():
        result, key = results[(pair.candidate, *asked)]
        found[asked] = result.prefix(before.planned)
    terms = replace(
        pair.terms, judge=key, unsafe_at=config.gate.unsafe_at, channel=config.limits.channel
    )
    return replace(pair, terms=terms, cells=found)
