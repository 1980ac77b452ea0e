"""Which cells a running measurement lets go, and which it asks again: the decisions so far say so."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

from safemlrm.errors import EngineError, NotMeasured
from safemlrm.family import Family
from safemlrm.limits import Metric
from safemlrm.reading import Cells
from safemlrm.ruling import still_open
from safemlrm.stopping import stop_of
from safemlrm.types import Case, Cell


@dataclass(frozen=True)
class Watch:
    """Looks at the cells of the cases that are being measured."""

    cells: Cells
    families: Mapping[str, Family]
    cases: tuple[Case, ...]

    def leaves(self, cell: Cell) -> bool:
        """Whether no case needs more of a cell than was asked of it.

        A candidate's cell stays until each of its hypotheses is decided, or to its end where there
        is none to decide. A base's stays to its end where it is compared with prompt by prompt, and
        so does what is chosen among options, which costs little and is compared with more of the same.
        """
        matrix = self.cells.matrix
        if matrix.scenarios[cell.scenario].expectation == "choose":
            return False
        for case in self._about.get(cell, ()):
            hypotheses = self.families[case.pair].of(case)
            if matrix.base(case) == cell and any(_with_base(h.metric) for h in hypotheses):
                return False
            if matrix.candidate_plain(case) == cell:
                return False
            if matrix.candidate(case) == cell and not self._decided(case):
                return False
        return True

    @cached_property
    def _about(self) -> dict[Cell | None, list[Case]]:
        """The cases that each cell is part of: their candidate's, their base's, the one without prefill."""
        matrix, found = self.cells.matrix, defaultdict[Cell | None, list[Case]](list)
        for case in self.cases:
            for cell in (matrix.candidate(case), matrix.base(case), matrix.candidate_plain(case)):
                found[cell].append(case)
        return found

    def open_cells(self, model: str) -> list[Cell]:
        """Return the candidate cells of a model that noise left open and fresh responses may settle."""
        matrix = self.cells.matrix
        found = [
            matrix.candidate(case)
            for case in self.cases
            if matrix.candidate(case).model == model and self._open(case)
        ]
        return list(dict.fromkeys(found))

    def _open(self, case: Case) -> bool:
        try:
            candidate = self.cells.candidate(case)
        except NotMeasured:
            return False
        early = self.cells.config.gate.stop == "early"
        return still_open(self.families[case.pair].of(case), candidate, early=early) is not None

    def _decided(self, case: Case) -> bool:
        hypotheses = self.families[case.pair].of(case)
        try:
            candidate, base = self.cells.both(case)
        except (EngineError, NotMeasured):
            return True  # its base broke, so more answers could not decide it either
        stops = [
            stop_of(h, candidate, None if h.metric.against == "plain" else base) for h in hypotheses
        ]
        return bool(stops) and None not in stops


def _with_base(metric: Metric) -> bool:
    """Whether a metric compares the candidate with its base prompt by prompt."""
    return (metric.kind, metric.against) == ("paired", "base")
