"""needs of the selected tests -> deduplicated work per model (pure, JSON round trip)."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from typing import Any

from safemlrm.matrix import Matrix
from safemlrm.types import Case, Cell


@dataclass(frozen=True, slots=True, order=True)
class Work:
    """Ask the first `prompts` prompts of a cell, each for so many `responses`."""

    cell: Cell
    prompts: int
    responses: int = 1

    @property
    def total(self) -> int:
        """How many responses that is."""
        return self.prompts * self.responses


@dataclass(frozen=True, slots=True)
class Plan:
    """What the selected tests need, each cell once; `errors` counts what could not be collected."""

    work: tuple[Work, ...]
    cases: tuple[Case, ...] = ()
    errors: int = 0
    canaries: tuple[Work, ...] = ()
    """Which models are asked to transcribe an attack's pictures; the cells are of all scenarios."""
    tests: tuple[str, ...] = ()
    """The ids of the tests that need it, where a worker leaves it for its controller."""

    @property
    def responses(self) -> int:
        """How many responses the plan asks for, transcriptions apart."""
        return sum(work.total for work in self.work)

    @property
    def models(self) -> tuple[str, ...]:
        """The models to ask, in the order of the work: bases before candidates."""
        return tuple(dict.fromkeys(work.cell.model for work in self.work))

    def of(self, model: str) -> tuple[Work, ...]:
        """Return the work of one model."""
        return tuple(work for work in self.work if work.cell.model == model)

    def canaries_of(self, model: str) -> tuple[Work, ...]:
        """Return the canaries of one model."""
        return tuple(work for work in self.canaries if work.cell.model == model)

    def to_json(self) -> str:
        """Return a text that `from_json` reads back; equal plans give equal texts."""
        return json.dumps(asdict(self), sort_keys=True)

    @classmethod
    def from_json(cls, text: str) -> Plan:
        """Read what `to_json` wrote."""
        data = json.loads(text)
        return cls(
            work=_work(data["work"]),
            cases=tuple(Case(**case) for case in data["cases"]),
            errors=data["errors"],
            canaries=_work(data["canaries"]),
            tests=tuple(data["tests"]),
        )


def _work(items: Iterable[Any]) -> tuple[Work, ...]:
    return tuple(Work(Cell(**item["cell"]), item["prompts"], item["responses"]) for item in items)


def build_plan(
    matrix: Matrix,
    cases: Iterable[Case],
    alone: Iterable[Case] = (),
    first: int | None = None,
    *,
    errors: int = 0,
) -> Plan:
    """Return the union of what the cases need: bases first, since candidates are compared with them.

    A case that is compared with the same prompts asked plainly needs those as well: of its candidate,
    and of its base where a report shows it beside.
    Of the cases in `alone` only the candidate is needed, and of it only the `first` prompts if given.
    """
    wanted = sorted(set(cases))
    need: dict[Cell, int] = {}
    for side in (matrix.base, matrix.base_plain, matrix.candidate, matrix.candidate_plain):
        for case in wanted:
            _ask(need, side(case), matrix.planned(case))
    for case in sorted(set(alone)):
        planned = matrix.planned(case)
        _ask(need, matrix.candidate(case), planned if first is None else min(first, planned))
    models = {cell.model: position for position, cell in reversed(list(enumerate(need)))}
    ordered = sorted(need, key=lambda cell: (models[cell.model], cell))
    work = (Work(c, need[c], 1 + len(matrix.further(c.scenario))) for c in ordered)
    return Plan(tuple(work), tuple(wanted), errors)


def _ask(need: dict[Cell, int], cell: Cell | None, prompts: int) -> None:
    if cell is not None:
        need[cell] = max(need.get(cell, 0), prompts)
