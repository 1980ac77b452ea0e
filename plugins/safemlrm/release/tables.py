"""Lists of a record whose items have a name of their own, put beside what was found (pure)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from safemlrm.release.differences import differences, shown, summed_up
from safemlrm.release.form import NAMES, Data
from safemlrm.release.outcomes import COLUMNS
from safemlrm.release.present import named

TABLES: Mapping[str, tuple[str, ...]] = {
    "limits": NAMES,
    "decisions": NAMES,
    "cells": ("model", "scenario", "attack", "draw"),
}
"""The lists, and the keys that name an item of each."""
TOLD = ("rows", "texts")
"""What is told of a cell in words of its own."""


def unlike_the_table(
    section: str, recorded: Sequence[Data], found: Sequence[Data]
) -> Iterator[str]:
    """Compare items by their names; a record could name one twice, or one that there is not."""
    ours, theirs = (by_name(section, items) for items in (recorded, found))
    if len(ours) < len(recorded):
        yield f"{section}: the record names something twice"
    for key in dict.fromkeys([*ours, *theirs]):
        where = (
            cell_named(key) if section == "cells" else named((key[0], key[1], key[2], str(key[3])))
        )
        mine, his = ours.get(key), theirs.get(key)
        if mine is None or his is None:
            lacking = "in the record" if mine is None else "in the store or its configuration"
            yield f"{where}: nothing of it {lacking} ({section})"
        elif section == "cells":
            yield from (f"{where}: {text}" for text in _outcomes(mine, his))
        elif mine != his:
            different = list(differences(mine, his))
            if different:
                yield f"{where}: {summed_up(different)}"


def by_name(section: str, items: Sequence[Data]) -> dict[tuple[str, ...], Data]:
    """Return the items of a list by what they are named by."""
    return {tuple(item[name] for name in TABLES[section]): item for item in items}


def cell_named(key: tuple[object, ...]) -> str:
    """Return a cell's name as people read it."""
    model, scenario, attack, draw = key
    fresh = f", fresh responses {shown(draw)}" if draw else ""
    return f"{shown(model)}, {shown(scenario)} / {shown(attack)}{fresh}"


def _outcomes(recorded: Data, found: Data) -> Iterator[str]:
    """Say how a cell's outcomes differ: what is missing, which prompt was scored otherwise."""
    ours, theirs = ({row[0]: row for row in cell["rows"]} for cell in (recorded, found))
    gone = ours.keys() - theirs.keys()
    if gone:
        yield f"{len(gone)} of {len(ours)} responses are missing in the store"
    added = theirs.keys() - ours.keys()
    if added:
        yield f"{len(added)} responses of the store are missing in the record"
    edited = [at for at in ours if at in theirs and ours[at] != theirs[at]]
    for at in edited[:1]:
        more = f" (and {len(edited) - 1} more prompts)" if len(edited) > 1 else ""
        yield f"prompt {shown(ours[at][1])}: {_row(ours[at], theirs[at])}{more}"
    rest = list(differences(_head(recorded), _head(found)))
    if rest and not (gone or added or edited):
        yield summed_up(rest)


def _row(ours: list[object], theirs: list[object]) -> str:
    """Say what of a prompt's outcome differs."""
    then, now = (dict(zip(COLUMNS, row, strict=True)) for row in (ours, theirs))
    return summed_up(differences(then, now))


def _head(cell: Data) -> Data:
    return {key: value for key, value in cell.items() if key not in TOLD}
