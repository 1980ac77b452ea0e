"""The response texts that a record was made from, put beside the store's by their digests (pure)."""

from __future__ import annotations

from collections.abc import Sequence

from safemlrm.release.form import Data
from safemlrm.release.tables import by_name, cell_named


def unlike_the_texts(
    recorded: Sequence[Data], found: Sequence[Data]
) -> tuple[list[str], list[str]]:
    """Return which cells rest on other texts now, and a line on those that could not be looked at.

    A digest is one of a whole cell: where a response is gone, no text of its cell can be compared.
    """
    stored = by_name("cells", found)
    swapped, unseen = [], dict[str, int]()
    for key, then in by_name("cells", recorded).items():
        now, where = stored.get(key), cell_named(key)
        if now is None or _positions(now) != _positions(then):
            unseen[where] = len(then["rows"])
        elif now["texts"] != then["texts"]:
            swapped.append(
                f"{where}: the store holds other response texts than the record was made from"
            )
    return swapped, [_unseen(unseen)] if unseen else []


def _positions(cell: Data) -> list[int]:
    return [row[0] for row in cell["rows"]]


def _unseen(cells: dict[str, int]) -> str:
    first, *rest = cells
    more = f" and {len(rest)} more cell{'s' if len(rest) > 1 else ''}" if rest else ""
    return (
        f"the texts of {sum(cells.values())} responses ({first}{more}): the store does not hold just the "
        "responses of the record, so they could not be looked at"
    )
