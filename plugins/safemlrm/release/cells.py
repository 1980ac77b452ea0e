"""The cells that a run's tests looked at, as a record keeps them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from types import MappingProxyType

from safemlrm.draws import FIRST_RESPONSE, FRESH
from safemlrm.errors import EngineError, NotMeasured
from safemlrm.evidence import CellResult
from safemlrm.matrix import Matrix
from safemlrm.reading import Cells
from safemlrm.release.facts import ran
from safemlrm.release.form import Data
from safemlrm.release.outcomes import outcomes_of
from safemlrm.responses.texts import texts_digest
from safemlrm.types import Case, Cell

Place = tuple[str, str, str, int]
"""Model, scenario, attack and draw of a recorded cell."""
NOTHING: Mapping[Place, int] = MappingProxyType({})


def cells_of(
    cells: Cells, selected: Sequence[str], asked: Mapping[Place, int] = NOTHING
) -> list[Data]:
    """Return every cell that the selected tests looked at, with a digest of its responses' texts.

    `asked` says how many prompts of a cell had been asked, where the store may hold more by now.
    """
    found = []
    for result, draw in _read(cells, selected):
        then = _then(result, draw, asked)
        found.append(outcomes_of(then, draw, texts_digest(cells.store, then.rows)))
    return found


def unscored(cells: Iterable[Data]) -> dict[str, int]:
    """Count each model's planned prompts without the verdict that counts."""
    found: Counter[str] = Counter()
    for cell in cells:
        found[cell["model"]] += cell["unknown"] if not cell["draw"] else 0
    return dict(sorted(found.items()))


def _read(cells: Cells, selected: Sequence[str]) -> Iterator[tuple[CellResult, int]]:
    """Yield every cell that the run's tests looked at, each once, with the number of its draw."""
    matrix, seen = cells.matrix, set[Cell]()
    for case in matrix.cases:
        if not ran(case, selected):
            continue
        for of, cell in _sides(matrix, case):
            if cell not in seen:
                seen.add(cell)
                with suppress(EngineError, NotMeasured):  # the tests told of it
                    first = cells.read(of, cell)
                    numbers = (FIRST_RESPONSE, *matrix.further(case.scenario))
                    yield from zip((first, *first.further), numbers, strict=True)
        if cells.config.gate.confirm:
            with suppress(EngineError, NotMeasured):
                yield from (
                    (found, draw) for draw, found in zip(FRESH, cells.fresh(case), strict=True)
                )


def _sides(matrix: Matrix, case: Case) -> Iterator[tuple[Case, Cell]]:
    """Yield what a case's decisions rest on: both sides, and what they were asked plainly for it."""
    yield case, matrix.candidate(case)
    base, plain = matrix.base(case), matrix.plain(case)
    if base is not None:
        yield case, base
    if plain is not None:
        yield plain, matrix.candidate(plain)
        if (base_plain := matrix.base_plain(case)) is not None:
            yield plain, base_plain


def _then(found: CellResult, draw: int, asked: Mapping[Place, int]) -> CellResult:
    """Return a cell as it was when so many of its prompts had been asked: later runs may ask more."""
    cell = found.cell
    then = asked.get((cell.model, cell.scenario, cell.attack, draw), found.asked)
    rows = tuple(row for row in found.rows if row.position < then)
    return replace(found, rows=rows, asked=min(then, found.asked))
