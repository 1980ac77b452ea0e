"""Record + store + safety.toml -> what does not agree, a line each."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from safemlrm.config import Config
from safemlrm.errors import SafemlrmError, StoreError
from safemlrm.extension import Extensions
from safemlrm.family import build_families
from safemlrm.matrix import Matrix, build_matrix
from safemlrm.release.differences import differences, shown
from safemlrm.release.files import checksum_of
from safemlrm.release.form import Data, ReleaseRecord
from safemlrm.release.present import against_present, named
from safemlrm.release.rebuild import Rebuilt, rebuild, unlike_the_files, unlike_the_store
from safemlrm.release.rejudging import NOT_AGAIN, judges_again
from safemlrm.release.settings import restored
from safemlrm.release.tables import TABLES, unlike_the_table
from safemlrm.release.texts import unlike_the_texts
from safemlrm.responses.store import Store
from safemlrm.types import Case


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
    changed = checksum_of(record.model_dump(mode="json")) != record.checksum
    findings = (
        ["the record was changed after it was written: its checksum does not fit"]
        if changed
        else []
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
    others, notes = unlike_the_files(record, config)
    if not judges_again(config):
        notes.append(NOT_AGAIN)
    differing, unchecked = _against_the_store(record, config, matrix, store)
    return _result(record, [*findings, *others, *differing], unchecked, notes)


def _against_the_store(
    record: ReleaseRecord, config: Config, matrix: Matrix, path: Path
) -> tuple[list[str], list[str]]:
    """Return what the store says otherwise, and what could not be looked at in it."""
    data, findings, unchecked = record.model_dump(mode="json"), list[str](), list[str]()
    try:
        with Store(path, read_only=True) as store:
            findings += unlike_the_store(record, store)
            rebuilt = rebuild(record, config, matrix, store)
            findings += _by_the_store(data, record, rebuilt, matrix)
            swapped, unseen = unlike_the_texts(data["cells"], rebuilt.data["cells"])
            findings += swapped
            unchecked += unseen
    except StoreError as error:
        unchecked.append(f"no decision and no score: {_line(error)}")
    return findings, unchecked


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
            yield from unlike_the_table(section, data[section], found)
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


def _line(error: SafemlrmError) -> str:
    return str(error).partition("\n")[0]
