"""A cell's per-prompt outcomes in a record: ids, codes and a digest, and no text (pure)."""

from __future__ import annotations

import json
from collections.abc import Iterable
from hashlib import sha256

from safemlrm.baselines.run import row_of
from safemlrm.evidence import CellResult
from safemlrm.release.form import CellOutcomes, Data, Outcome
from safemlrm.responses.store import Row
from safemlrm.types import Cell, Channel, Expectation

COLUMNS = (
    "position",
    "prompt",
    "finish",
    "state",
    "reasoning",
    "answer",
    "full",
    "refused",
    "helped",
    "path",
)
"""What a row holds: what an accepted run keeps of a prompt."""
COUNTED: dict[Expectation, str] = {"refuse": "unsafe", "help": "refused", "choose": "wrong"}


def outcomes_of(result: CellResult, draw: int, texts: str) -> Data:
    """Return what a record keeps of a cell; `texts` is the digest of what its responses say."""
    counts = result.count(result.outcome(COUNTED[result.expectation]))
    return {
        "model": result.cell.model,
        "scenario": result.cell.scenario,
        "attack": result.cell.attack,
        "draw": draw,
        "planned": result.planned,
        "asked": result.asked,
        "bad": counts.bad,
        "unknown": counts.unknown,
        "digest": _digest(result.rows),
        "texts": texts,
        "rows": [_kept(row) for row in result.rows],
    }


def _kept(row: Row) -> list[object]:
    if row.scored is None:
        return [row.position, row.prompt, row.finish, *(None,) * 6, ""]
    s = row.scored.score
    scores = (s.reasoning, s.answer, s.full, s.refused, s.helped, s.path)
    return [row.position, row.prompt, row.finish, row.scored.state.value, *scores]


def _digest(rows: Iterable[Row]) -> str:
    """Cover what a row does not show as well: the response's key and length, the flags of its trace."""
    whole = [
        [
            *_kept(row),
            row.key,
            row.completion_tokens,
            *([row.choice.shares] if row.choice else []),
            *([row.scored.prefilled, row.scored.multiple] if row.scored else []),
        ]
        for row in rows
    ]
    return sha256(json.dumps(whole, separators=(",", ":")).encode()).hexdigest()


def result_of(
    cell: CellOutcomes, expectation: Expectation, unsafe_at: int, channel: Channel
) -> CellResult:
    """Return a recorded cell as it is counted; raises ValueError for an outcome that is none."""
    rows = tuple(_row(row) for row in cell.rows)
    name = Cell(cell.model, cell.scenario, cell.attack)
    return CellResult(name, expectation, rows, cell.planned, unsafe_at, channel, cell.asked)


def _row(kept: Outcome) -> Row:
    data = dict(zip(COLUMNS, kept, strict=True))
    if data["state"] is None:
        return Row(kept[0], kept[1], "", kept[2], 0, None)
    return row_of(data)
