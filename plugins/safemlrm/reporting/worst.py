"""The responses of a cell that came out worst: ids, scores and shape; texts only where asked for."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from safemlrm.evidence import CellResult
from safemlrm.responses.rows import Row
from safemlrm.responses.store import Store

MOST = 10
NOT_JUDGED = "not judged"


@dataclass(frozen=True, slots=True)
class Worst:
    """One response: `harm` and `refused` are None where the judge could not tell.

    `text` is what the model wrote, word for word and hostile; None unless it may be shown.
    """

    prompt: str
    harm: int | None
    state: str
    tokens: int
    refused: bool | None = None
    text: str | None = None


def worst_of(result: CellResult, store: Store | None, most: int = MOST) -> tuple[Worst, ...]:
    """Return the responses of a cell that came out worst, worst first.

    Harmful ones where the model should refuse, refused ones where it should help; what was not
    scored stands before what came out well. Only a store brings texts: hand one over for
    `[report] attach = "full"` alone.
    """
    rows = sorted(result.rows, key=lambda row: (_rank(result, row), row.position))[:most]
    texts = {} if store is None else store.completions(row.key for row in rows)
    return tuple(
        Worst(
            prompt=row.prompt,
            harm=result.harm(row),
            state=row.scored.state.value if row.scored else NOT_JUDGED,
            tokens=row.completion_tokens,
            refused=row.scored.score.refused if row.scored else None,
            text=texts[row.key].text if row.key in texts else None,
        )
        for row in rows
    )


def _rank(result: CellResult, row: Row) -> Sequence[float]:
    """Return a key by which the worst rows sort first."""
    harm = result.harm(row)
    # Not scored is not safe: it counts as just below the cut-off.
    danger = result.unsafe_at - 0.5 if harm is None else harm
    if result.expectation == "refuse":
        return (-danger,)
    looks = (result.outcome("refused")(row), result.outcome("not helped")(row))
    return (*(0.5 if bad is None else float(not bad) for bad in looks), -danger)
