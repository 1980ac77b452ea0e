"""A record's decisions made again from the store, by the record's own configuration."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from safemlrm.baselines import weaker
from safemlrm.config import Config
from safemlrm.engines.identity import identity_of
from safemlrm.errors import SafemlrmError
from safemlrm.family import build_families
from safemlrm.matrix import Matrix
from safemlrm.reading import FILES, Cells
from safemlrm.release.cells import Place
from safemlrm.release.differences import shown
from safemlrm.release.facts import RunFacts
from safemlrm.release.form import Data, ReleaseRecord
from safemlrm.release.making import make_record
from safemlrm.release.rejudging import unlike_the_judge
from safemlrm.reporting.outcome import Outcome, objections
from safemlrm.reporting.plain import plain
from safemlrm.reporting.record import Record
from safemlrm.reporting.recording import records_of
from safemlrm.responses.store import Store
from safemlrm.types import Case, Identity, Tier
from safemlrm.verdict import Reader


@dataclass(frozen=True)
class Rebuilt:
    """What the record would be by the store; `problems` say what could not be made again, and why.

    `edited` names the scores that are not the judge's.
    """

    data: Data
    problems: tuple[str, ...]
    edited: tuple[str, ...]
    weaker: tuple[str, ...]
    objections: tuple[str, ...]


def rebuild(record: ReleaseRecord, config: Config, matrix: Matrix, store: Store) -> Rebuilt:
    """Make a record again; nothing is written."""
    identities = {name: Identity(m.digest, m.parts) for name, m in record.models.items()}
    cells = Cells(config, matrix, store, None, recorded=identities)
    reader = Reader(cells, build_families(config, matrix))
    problems: list[str] = []
    records = list(_decide(reader, record, problems))
    outcome = Outcome(records={"": records}, selected={name: name for name in record.selected})
    return Rebuilt(
        json.loads(json.dumps(make_record(reader, records, _facts(record), _asked(record)))),
        tuple(problems),
        tuple(unlike_the_judge(cells, record)),
        tuple(_weaker(reader)),
        tuple(objections(outcome, config, identities)),
    )


def _facts(record: ReleaseRecord) -> RunFacts:
    return RunFacts(
        record.made,
        record.version,
        record.passed,
        record.observed,
        record.partial,
        record.objections,
        record.broken,
        record.selected,
    )


def _asked(record: ReleaseRecord) -> dict[Place, int]:
    """Return how many prompts cells had been asked, where later runs may rightly ask more of them."""
    if record.gate.get("stop") != "early":
        return {}
    return {(c.model, c.scenario, c.attack, c.draw): c.asked for c in record.cells}


def _decide(reader: Reader, record: ReleaseRecord, problems: list[str]) -> Iterator[Record]:
    """Yield the decisions that the record holds, as the store has them."""
    wanted = {(d.pair, d.scenario, d.attack, d.metric) for d in record.decisions}
    subjects = dict.fromkeys(h.subject for f in reader.families.values() for h in f.hypotheses)
    for subject in subjects:
        name = (subject.pair, subject.scenario, subject.attack)
        if any(key[:3] == name for key in wanted):
            try:
                found = _records(reader, subject)
            except SafemlrmError as error:
                problems.append(f"{subject.id}: cannot be decided again: {_line(error)}")
            else:
                yield from (r for r in found if (*r.subject, r.metric) in wanted)


def _records(reader: Reader, subject: Case | Tier) -> Sequence[Record]:
    if isinstance(subject, Case):
        return records_of(reader.evaluate(subject))
    return records_of(reader.evaluate_tier(subject))


def _weaker(reader: Reader) -> Iterator[str]:
    """Say in what the record's gate is less than what was accepted of its pairs."""
    for pair, family in sorted(reader.families.items()):
        try:
            kept = reader.cells.past(pair).kept
            texts = weaker(kept, reader.cells.instrument(pair), family) if kept else []
        except SafemlrmError as error:
            texts = [_line(error)]
        yield from (f"{pair}: gated less than accepted: {text}" for text in texts)


def unlike_the_store(record: ReleaseRecord, store: Store) -> list[str]:
    """Name the models that the store has never met as the record describes them."""
    met = {
        (look.model, look.identity.digest): plain(look.identity)["parts"]
        for look in store.identities()
    }
    return [
        f"model {shown(name)}: the store has never met the one in the record ({shown(model.digest[:12])})"
        for name, model in sorted(record.models.items())
        if met.get((name, model.digest)) != model.parts
    ]


def unlike_the_files(record: ReleaseRecord, config: Config) -> tuple[list[str], list[str]]:
    """Return which models have other files here than the record says, and which have none here."""
    changed, absent = [], []
    for name, model in sorted(record.models.items()):
        if name not in config.models:
            continue
        try:
            now = identity_of(name, config.models[name], config.folder)
        except SafemlrmError:
            absent.append(
                f"the files of model {shown(name)} are not here, so they were not compared"
            )
            continue
        parts = [part for part in FILES if now.parts.get(part) != model.parts.get(part)]
        changed += [
            f"model {shown(name)}: its {part} here is not the recorded one" for part in parts
        ]
    return changed, absent


def _line(error: SafemlrmError) -> str:
    return str(error).partition("\n")[0]
