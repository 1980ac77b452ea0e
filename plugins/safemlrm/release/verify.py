"""Record + store + safety.toml -> what does not agree, a line each."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from safemlrm.config import Config
from safemlrm.errors import SafemlrmError, StoreError
from safemlrm.extension import Extensions
from safemlrm.family import build_families
from safemlrm.matrix import Matrix, build_matrix
from safemlrm.release.differences import differences, shown, summed_up
from safemlrm.release.files import checksum_of
from safemlrm.release.form import ReleaseRecord
from safemlrm.release.making import Data
from safemlrm.release.outcomes import COLUMNS
from safemlrm.release.present import against_present, named
from safemlrm.release.rebuild import Rebuilt, rebuild, unlike_the_files, unlike_the_store
from safemlrm.release.rejudging import NOT_AGAIN, judges_again
from safemlrm.release.settings import restored
from safemlrm.responses.store import Store
from safemlrm.types import Case

TABLES: Mapping[str, tuple[str, ...]] = {
    "limits": ("pair", "scenario", "attack", "metric"),
    "decisions": ("pair", "scenario", "attack", "metric"),
    "cells": ("model", "scenario", "attack", "draw"),
}
"""Lists of a record whose items have a name of their own."""
TOLD = ("undecided", "not_run")
"""What is told of in words of its own."""


@dataclass(frozen=True)
class Verified:
    """What was found: `findings` do not agree, `unchecked` could not be looked at, `notes` do no harm."""

    findings: tuple[str, ...]
    unchecked: tuple[str, ...]
    notes: tuple[str, ...]
    decisions: int
    responses: int

    @property
    def agrees(self) -> bool:
        """Whether everything was looked at and agrees; nothing looked at never does."""
        looked = self.decisions and self.responses
        return bool(looked) and not self.findings and not self.unchecked


def verify(record: ReleaseRecord, present: Config, extensions: Extensions, store: Path) -> Verified:
    """Compare a record with the store, the present configuration and what was accepted.

    Nothing is written. Raises `ConfigError` where the present safety.toml cannot be used, or the
    recorded configuration cannot be read.
    """
    data = record.model_dump(mode="json")
    findings = (
        []
        if checksum_of(data) == record.checksum
        else ["the record was changed after it was written: its checksum does not fit"]
    )
    config = restored(record.config, record.profile, present)
    now = build_matrix(present, extensions)
    try:
        matrix = build_matrix(config, extensions)
    except SafemlrmError as error:
        lost = f"the record's prompts and attacks cannot be read here: {_line(error)}"
        return _result(record, findings, [lost], [])
    families = build_families(present, now)
    findings += against_present(record.limits, matrix, config, present, now, families)
    changed, notes = unlike_the_files(record, config)
    findings += changed
    if not judges_again(config):
        notes.append(NOT_AGAIN)
    unchecked = []
    try:
        with Store(store, read_only=True) as opened:
            findings += unlike_the_store(record, opened)
            findings += _by_the_store(data, record, rebuild(record, config, matrix, opened), matrix)
    except StoreError as error:
        unchecked.append(f"no decision and no score: {_line(error)}")
    return _result(record, findings, unchecked, notes)


def _result(
    record: ReleaseRecord, findings: list[str], unchecked: list[str], notes: list[str]
) -> Verified:
    unique = tuple(dict.fromkeys(findings))
    rows = sum(len(cell.rows) for cell in record.cells)
    return Verified(unique, tuple(unchecked), tuple(notes), len(record.decisions), rows)


def _by_the_store(
    data: Data, record: ReleaseRecord, rebuilt: Rebuilt, matrix: Matrix
) -> Iterator[str]:
    yield from rebuilt.problems
    yield from rebuilt.edited
    yield from _holes(rebuilt.data, matrix)
    yield from rebuilt.weaker
    for section, found in rebuilt.data.items():
        if section in TABLES:
            yield from _table(section, data[section], found)
        else:
            for each in differences(data[section], found, section):
                yield str(each)
    if record.passed and (record.observed or record.broken):
        yield "the record says that the run passed, though it only observed or a test broke"
    if record.passed:
        yield from (f"the record says that the run passed: {text}" for text in rebuilt.objections)


def _holes(found: Data, matrix: Matrix) -> Iterator[str]:
    """Name what the record's own configuration asks for and the record does not decide."""
    missing, left = set(found["not_run"]), set[str]()
    for pair in matrix.pairs:
        cases = [case for case in matrix.cases if case.pair == pair]
        if cases and missing.issuperset(case.id for case in cases):
            left.add(pair)
            yield f"{shown(pair)}: configured, and none of its {len(cases)} cases was run"
    for case in matrix.cases:
        if case.id in missing and case.pair not in left:
            yield f"{case.pair} / {case.scenario} / {case.attack}: configured, and was not run"
    for each in found["undecided"]:
        key = (each["pair"], each["scenario"], each["attack"], each["metric"])
        if Case(*key[:3]).id not in missing and each["pair"] not in left:
            yield f"{named(key)}: configured, and was not decided"


def _table(section: str, recorded: list[Data], found: list[Data]) -> Iterator[str]:
    """Compare items by their names; a record could name one twice, or one that there is not."""
    ours, theirs = (_by_name(section, items) for items in (recorded, found))
    if len(ours) < len(recorded):
        yield f"{section}: the record names something twice"
    for key in dict.fromkeys([*ours, *theirs]):
        where = _cell(key) if section == "cells" else named((key[0], key[1], key[2], str(key[3])))
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


def _by_name(section: str, items: list[Data]) -> dict[tuple[str, ...], Data]:
    return {tuple(item[name] for name in TABLES[section]): item for item in items}


def _cell(key: tuple[object, ...]) -> str:
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
    return {key: value for key, value in cell.items() if key != "rows"}


def _line(error: SafemlrmError) -> str:
    return str(error).partition("\n")[0]
