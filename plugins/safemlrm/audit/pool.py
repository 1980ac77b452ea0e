"""The stored responses that labels speak of, with the judge's verdicts on them (pure)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from safemlrm.audit.labels import Label, LabelFile
from safemlrm.errors import ConfigError
from safemlrm.evidence import CellResult
from safemlrm.types import Cell, Expectation

KEY = 12
"""Characters of a response's key that messages show."""


@dataclass(frozen=True, slots=True)
class Judged:
    """One stored response with the judge's verdicts, None where it gave none.

    `seen` says whether this judge, as it is now, has scored the response at all.
    """

    key: str
    cell: Cell
    prompt: str
    expectation: Expectation
    unsafe: bool | None
    refused: bool | None
    seen: bool

    @property
    def place(self) -> tuple[str, str, str, str]:
        """How a label names the response without its key."""
        return self.cell.model, self.cell.scenario, self.cell.attack, self.prompt


@dataclass(frozen=True, slots=True)
class Labelled:
    """A response with what a person and the judge say of it, None where they say nothing."""

    judged: Judged
    unsafe: bool | None
    refused: bool | None


@dataclass(frozen=True)
class Match:
    """Labels put beside the responses they are of; `unknown` ones are of none that is stored."""

    labelled: tuple[Labelled, ...]
    unknown: tuple[Label, ...]


def pool_of(results: Iterable[CellResult]) -> list[Judged]:
    """Return the responses of cells, each cell once; what was chosen among options no judge has read."""
    cells = {result.cell: result for result in results if result.expectation != "choose"}
    return [judged for result in cells.values() for judged in _judged(result)]


def _judged(result: CellResult) -> Iterator[Judged]:
    for row in result.rows:
        refused = row.scored.score.refused if row.scored else None
        yield Judged(
            row.key,
            result.cell,
            row.prompt,
            result.expectation,
            result.unsafe(row),
            refused,
            seen=row.scored is not None,
        )


def match(file: LabelFile, pool: Iterable[Judged], unsafe_at: int) -> Match:
    """Put each labelled response beside the judge's verdicts, once however often it was labelled.

    Raises `ConfigError` where labels of one response contradict one another, where nothing is filled in,
    and where this version of the judge has not scored a response.
    """
    by_name: dict[object, list[Judged]] = {}
    for judged in pool:
        for name in (judged.key, judged.place):
            by_name.setdefault(name, []).append(judged)
    found: dict[tuple[str, Cell], tuple[Judged, _Said]] = {}
    unknown = []
    for label in file.filled:
        responses = by_name.get(label.key or label.place, [])
        unknown += [] if responses else [label]
        for judged in responses:
            said = _Said(label.where, label.verdict(unsafe_at), label.refused)
            before = found.get((judged.key, judged.cell))
            found[judged.key, judged.cell] = judged, said.beside(before and before[1], judged)
    if not found and not unknown:
        raise ConfigError(
            f"{file.path}: none of its {len(file.labels)} rows is filled in; write harm (0-5) or unsafe "
            "into them, or have them asked by --label"
        )
    _refuse_unseen(file, [judged for judged, _ in found.values() if not judged.seen])
    labelled = tuple(Labelled(j, said.unsafe, said.refused) for j, said in found.values())
    return Match(labelled, tuple(unknown))


def waiting(file: LabelFile, pool: Iterable[Judged]) -> tuple[list[Judged], tuple[Label, ...]]:
    """Return the responses of rows that nobody has filled in yet, in the file's order, and unknown rows."""
    by_name: dict[object, Judged] = {}
    for judged in pool:
        by_name.setdefault(judged.key, judged)
        by_name.setdefault(judged.place, judged)
    done = {_of(by_name, label) for label in file.filled}
    rows = [(label, _of(by_name, label)) for label in file.labels if not label.filled]
    unknown = tuple(label for label, judged in rows if judged is None)
    return [j for j in dict.fromkeys(j for _, j in rows) if j and j not in done], unknown


def _of(by_name: Mapping[object, Judged], label: Label) -> Judged | None:
    return by_name.get(label.key or label.place)


@dataclass(frozen=True, slots=True)
class _Said:
    where: str
    unsafe: bool | None
    refused: bool | None

    def beside(self, other: _Said | None, judged: Judged) -> _Said:
        """Return two labels of one response as one; they may complete but not contradict each other."""
        if other is None:
            return self
        for name in ("unsafe", "refused"):
            mine, his = getattr(self, name), getattr(other, name)
            if None not in (mine, his) and mine != his:
                raise ConfigError(
                    f"{self.where}: says {name} = {str(mine).lower()} of response {judged.key[:KEY]}, "
                    f"{other.where} says {str(his).lower()}; settle it and keep one row"
                )
        return _Said(
            self.where,
            other.unsafe if self.unsafe is None else self.unsafe,
            other.refused if self.refused is None else self.refused,
        )


def _refuse_unseen(file: LabelFile, unseen: list[Judged]) -> None:
    if unseen:
        raise ConfigError(
            f"{file.path}: {len(unseen)} labelled responses have no score by this version of the judge "
            f"(the first is {unseen[0].key[:KEY]} of {unseen[0].cell.model}), so the labels are of "
            "another one's time; run `safemlrm measure` once, which scores what is stored and asks the "
            "measured models nothing"
        )


def refuse_unknown(file: LabelFile, unknown: tuple[Label, ...]) -> None:
    """Raise `ConfigError` for labels of responses that are not stored, naming the first."""
    if unknown:
        first = unknown[0]
        name = first.key[:KEY] if first.key else " / ".join(first.place)
        more = f" (and {len(unknown) - 1} more like it)" if len(unknown) > 1 else ""
        raise ConfigError(
            f"{first.where}: no response {name!r} is stored of the models as safety.toml has them "
            f"now{more}; draw labels anew, or leave such labels out with --drop-unknown"
        )
