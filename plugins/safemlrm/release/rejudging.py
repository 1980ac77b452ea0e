"""A record's responses judged again, where the judge asks no model: an edited score is no judge's."""

from __future__ import annotations

from collections.abc import Iterator

from safemlrm.config import Config
from safemlrm.errors import SafemlrmError
from safemlrm.judging import judge_models
from safemlrm.plan import Work
from safemlrm.reading import Cells
from safemlrm.release.differences import shown
from safemlrm.release.form import CellOutcomes, ReleaseRecord
from safemlrm.rounds import attacked, index_key
from safemlrm.types import Cell

NOT_AGAIN = (
    "the judge asks a model or is not here, so its scores were taken as they are stored and not given again; "
    "`safemlrm audit` puts labels by people beside them"
)


def judges_again(config: Config) -> bool:
    """Whether the judge can say once more what it said: it asks no model, and is here."""
    imported = config.judges[config.gate.judge].kind == "imported"
    return not imported and not judge_models(config)


def unlike_the_judge(cells: Cells, record: ReleaseRecord) -> Iterator[str]:
    """Name the cells whose stored scores are not what the judge says of the stored responses.

    A score that was edited before the record was made agrees with the record, but with no judge.
    """
    if not judges_again(cells.config):
        return
    for kept in record.cells:
        where = f"{shown(kept.model)}, {shown(kept.scenario)} / {shown(kept.attack)}"
        try:
            edited = _edited(cells, kept)
        except SafemlrmError as error:
            yield f"{where}: cannot be judged again: {str(error).partition(chr(10))[0]}"
            continue
        if edited:
            more = f" (and {len(edited) - 1} more prompts)" if len(edited) > 1 else ""
            yield f"{where}: the judge does not give prompt {shown(edited[0])} the score that is stored{more}"


def _edited(cells: Cells, kept: CellOutcomes) -> list[str]:
    """Return the prompts of a cell whose stored score is not the judge's."""
    config, matrix, seed = cells.config, cells.matrix, cells.config.gate.seed
    known = (kept.model in config.models, kept.scenario in matrix.scenarios)
    if not all((*known, kept.attack in matrix.attacks)):
        return []  # no cell of the configuration: that it is in the record is said elsewhere
    identity, cell = cells.identity(kept.model), Cell(kept.model, kept.scenario, kept.attack)
    scorer = cells.scorer(kept.model, matrix.scenarios[kept.scenario].expectation)
    index = index_key(cell, identity, matrix, seed, kept.draw)
    rows = cells.store.rows(index, scorer.key, kept.asked)
    stored = {row.key: row.scored for row in rows if row.scored is not None}
    work = Work(cell, kept.asked)
    asked = {a.key: a.prompt for a in attacked(work, identity, matrix, seed, kept.draw)}
    found = cells.store.completions(stored.keys() & asked.keys())
    anew = dict(scorer.score((asked[key], completion) for key, completion in found.items()))
    return [asked[key].id for key in asked if key in anew and anew[key] != stored[key]]
