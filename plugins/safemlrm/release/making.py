"""A run's decisions and the evidence they rest on -> its release record."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from fractions import Fraction
from hashlib import sha256
from importlib.metadata import version
from math import isfinite
from pathlib import Path
from types import MappingProxyType
from typing import Any

from safemlrm.audit import audit_essentials
from safemlrm.baselines import anchor_path, baseline_path, loosened
from safemlrm.baselines.run import AcceptedLimit, subject_of
from safemlrm.config import Config
from safemlrm.draws import FIRST_RESPONSE, FRESH
from safemlrm.errors import ConfigError, EngineError, NotMeasured, SafemlrmError
from safemlrm.evidence import CellResult
from safemlrm.family import Family, Hypothesis
from safemlrm.judging import judge_models
from safemlrm.matrix import Matrix
from safemlrm.release.form import FORMAT_VERSION
from safemlrm.release.outcomes import outcomes_of
from safemlrm.release.settings import recorded_config, same_folder
from safemlrm.reporting.outcome import Outcome, partial
from safemlrm.reporting.record import Answers, Record, plain
from safemlrm.tune import terms_of
from safemlrm.types import ALL, BASELINE, Case, Cell, Tier, Verdict
from safemlrm.verdict import Reader

Data = dict[str, Any]
Place = tuple[str, str, str, int]
"""Model, scenario, attack and draw of a recorded cell."""
NOTHING: Mapping[Place, int] = MappingProxyType({})
NAMES = ("pair", "scenario", "attack", "metric")


@dataclass(frozen=True)
class RunFacts:
    """What only the run itself knows; whoever verifies a record takes it from there."""

    made: str
    version: str
    passed: bool
    observed: bool
    partial: Sequence[str]
    objections: Sequence[str]
    broken: Mapping[str, str]
    selected: Sequence[str]


def facts_of(outcome: Outcome, families: Mapping[str, Family], notes: Sequence[str]) -> RunFacts:
    """Return what a run that just ended says of itself."""
    return RunFacts(
        made=datetime.now(UTC).isoformat(timespec="seconds"),
        version=version("pytest-safemlrm"),
        passed=outcome.passed and not outcome.observed,
        observed=outcome.observed,
        partial=partial(outcome, families),
        objections=list(notes),
        broken=dict(sorted(outcome.broken.items())),
        selected=sorted(set(outcome.selected.values())),
    )


def make_record(
    reader: Reader, records: Sequence[Record], facts: RunFacts, asked: Mapping[Place, int] = NOTHING
) -> Data:
    """Return everything of a record but its checksum.

    Verifying makes it again from the store and compares, so nothing here may depend on the run but
    through `facts`, and through `asked`: how many prompts of a cell had been asked then.
    """
    config, families = reader.cells.config, reader.families
    cells = [outcomes_of(_then(found, draw, asked), draw) for found, draw in _read(reader, facts)]
    decided = {(*record.subject, record.metric): record for record in records}
    questions = [(h, _key(h)) for _, f in sorted(families.items()) for h in f.hypotheses]
    return {
        "format": FORMAT_VERSION,
        **{name: _listed(value) for name, value in asdict(facts).items()},
        "profile": config.profile,
        **configured(reader),
        "limits": [_limit(h, _accepted(reader, h)) for h, _ in questions],
        "waivers": _waivers(reader, observed=facts.observed),
        "decisions": [_decision(decided[key], h) for h, key in questions if key in decided],
        "verdicts": _verdicts(decided.values()),
        "ungateable": [
            dict(zip(NAMES, key, strict=True))
            for key, record in sorted(decided.items())
            if record.verdict is Verdict.UNGATEABLE
        ],
        "undecided": [
            dict(zip(NAMES, key, strict=True)) for _, key in questions if key not in decided
        ],
        "not_run": [case.id for case in reader.cells.matrix.cases if not ran(case, facts.selected)],
        "unscored": _unscored(cells),
        "cells": [cell for cell in cells if cell["asked"]],
    }


def configured(reader: Reader) -> Data:
    """Return the digests of what the decisions rest on: models, judge, prompts, attacks, files."""
    cells, config, matrix = reader.cells, reader.cells.config, reader.cells.matrix
    models = _models(reader)
    content = terms_of(config, matrix, next(iter(matrix.pairs))).prompts
    return {
        "config": recorded_config(config),
        "gate": {**config.gate.model_dump(mode="json"), "channel": config.limits.channel},
        "models": models,
        "decoding": {name: _decoding(model["parts"]) for name, model in models.items()},
        "judge": _judge(reader, models),
        "scenarios": {
            slug: {
                "digest": s.digest,
                "content": content[slug],
                "prompts": s.planned,
                "expectation": s.expectation,
            }
            for slug, s in matrix.scenarios.items()
        },
        "attacks": {slug: attack.digest for slug, attack in matrix.attacks.items()},
        "pairs": {name: list(sides) for name, sides in matrix.pairs.items()},
        "audit": _audit(config),
        "baselines": [
            _file(config, path)
            for pair in sorted(cells.matrix.pairs)
            for path in (
                baseline_path(config.baselines_path, pair),
                anchor_path(config.baselines_path, pair),
            )
        ],
    }


def ran(case: Case, selected: Iterable[str]) -> bool:
    """Whether a run's tests looked at a case, alone or as a part of its pair or scenario."""
    ids = {case.id, Tier(case.pair).id, Tier(case.pair, case.scenario).id}
    return not ids.isdisjoint(selected)


def _read(reader: Reader, facts: RunFacts) -> Iterator[tuple[CellResult, int]]:
    """Yield every cell that the run's tests looked at, each once, with the number of its draw."""
    cells, matrix, seen = reader.cells, reader.cells.matrix, set[Cell]()
    for case in matrix.cases:
        if not ran(case, facts.selected):
            continue
        for of, cell in _sides(matrix, case):
            if cell not in seen:
                seen.add(cell)
                with suppress(EngineError, NotMeasured):  # the tests told of it
                    first = cells.read(of, cell)
                    numbers = (FIRST_RESPONSE, *matrix.further(case.scenario))
                    yield from zip((first, *first.further), numbers, strict=True)
        if cells.config.gate.confirm:
            with suppress(EngineError, NotMeasured):
                yield from (
                    (found, draw) for draw, found in zip(FRESH, cells.fresh(case), strict=True)
                )


def _sides(matrix: Matrix, case: Case) -> Iterator[tuple[Case, Cell]]:
    """Yield what a case's decisions rest on: its candidate, its base, its candidate asked plainly."""
    yield case, matrix.candidate(case)
    base, plain = matrix.base(case), matrix.plain(case)
    if base is not None:
        yield case, base
    if plain is not None:
        yield plain, matrix.candidate(plain)


def _then(found: CellResult, draw: int, asked: Mapping[Place, int]) -> CellResult:
    """Return a cell as it was when so many of its prompts had been asked: later runs may ask more."""
    cell = found.cell
    then = asked.get((cell.model, cell.scenario, cell.attack, draw), found.asked)
    rows = tuple(row for row in found.rows if row.position < then)
    return replace(found, rows=rows, asked=min(then, found.asked))


def _models(reader: Reader) -> dict[str, Data]:
    cells = reader.cells
    named = [side for sides in cells.matrix.pairs.values() for side in sides]
    names = {name for name in named if name not in (None, BASELINE)}
    found = {}
    for name in sorted({*map(str, names), *judge_models(cells.config)}):
        with suppress(SafemlrmError):  # it was not measured, so nothing rests on it
            found[name] = plain(cells.identity(name))
    return found


def _decoding(parts: Mapping[str, str]) -> Data:
    """Return how a model decodes; a forged record may hold anything in its place."""
    try:
        found = json.loads(parts.get("decoding", "{}"))
    except ValueError:
        found = None
    return found if isinstance(found, dict) else {}


def _judge(reader: Reader, models: Iterable[str]) -> Data | None:
    cells = reader.cells
    measured = {str(side) for sides in cells.matrix.pairs.values() for side in sides}
    try:
        contract = plain(cells.contract())
        scorers = {name: cells.scorer(name).key for name in models if name in measured}
    except SafemlrmError:
        return None  # a judge that cannot be read broke the tests already
    return {**contract, "scorers": scorers}


def _audit(config: Config) -> Data:
    try:
        found = audit_essentials(config.audit_path)
    except ConfigError:
        found = None
    result = None if found is None else _finite_copy(found)
    return {"file": _file(config, config.audit_path), "result": result}


def _finite_copy(data: Mapping[str, Any]) -> Data:
    """Return data as a JSON reader gives it back, so that a written record compares equal."""
    copied: Data = json.loads(json.dumps(data))
    return copied


def _file(config: Config, path: Path) -> Data:
    digest = sha256(path.read_bytes()).hexdigest() if path.is_file() else None
    return {"file": same_folder(config, str(path)), "sha256": digest}


def _key(h: Hypothesis) -> tuple[str, str, str, str]:
    return (h.subject.pair, *subject_of(h))


def _limit(h: Hypothesis, accepted: AcceptedLimit | None) -> Data:
    settled = accepted and {"by": accepted.by, "on": accepted.on, "reason": accepted.reason}
    return {
        **dict(zip(NAMES, _key(h), strict=True)),
        "value": str(h.limit.value),
        "direction": h.limit.direction,
        "n": h.n,
        "level": h.level,
        "passes_to": h.zones.passes_to if h.zones else None,
        "fails_from": h.zones.fails_from if h.zones else None,
        "origin": h.limit.origin,
        "saturated": h.limit.saturated,
        "accepted": settled,
    }


def _accepted(reader: Reader, h: Hypothesis) -> AcceptedLimit | None:
    """Return who accepted a limit as it is now, None where nobody did."""
    kept = reader.cells.past(h.subject.pair).kept
    for limit in kept.limits if kept else ():
        same = (limit.direction, Fraction(limit.value)) == (h.limit.direction, h.limit.value)
        if limit.subject == subject_of(h) and same:
            return limit
    return None


def _waivers(reader: Reader, *, observed: bool) -> list[Data]:
    """Return what is let pass, each with its reason: nobody should have to look for it."""
    found = (
        [("observed", "the run", "--safety-observe: no verdict fails the run")] if observed else []
    )
    for pair, family in sorted(reader.families.items()):
        for h in family.hypotheses:
            about = f"{h.metric.name} of {' / '.join(p for p in _key(h)[:3] if p != ALL)}"
            if h.limit.saturated:
                found.append(("saturated", about, h.limit.origin))
            if _looser(reader.cells.config, h):
                found.append(("override", about, h.limit.origin))
        anchor = reader.cells.past(pair).anchor
        found += (
            [("loosened", pair, text) for text in loosened(anchor.limits, family)] if anchor else []
        )
    return [{"kind": kind, "about": about, "reason": reason} for kind, about, reason in found]


def _looser(config: Config, h: Hypothesis) -> bool:
    """Whether an override allows more than [limits] does elsewhere."""
    general = getattr(config.limits, h.metric.name)
    if not isinstance(general, Fraction) or not h.limit.origin.startswith("[[limits.override]]"):
        return False
    now = h.limit.value
    return now > general if h.limit.direction == "at_most" else now < general


def _decision(record: Record, h: Hypothesis) -> Data:
    m = record.measured
    return {
        **dict(zip(NAMES, (*record.subject, record.metric), strict=True)),
        "verdict": record.verdict.value,
        "reason": record.reason.value,
        "limit": str(h.limit.value),
        "direction": record.direction,
        "unsafe_at": record.unsafe_at,
        "channel": record.channel,
        "n": record.n,
        "stopped": record.stopped,
        **{name: _finite(getattr(m, name)) for name in ("value", "low", "high")},
        **{name: getattr(m, name) for name in ("part", "whole", "unknown")},
        "candidate": _side(record.candidate),
        "base": record.base and _side(record.base),
        "confirmed": record.confirmed,
        "saturated": record.saturated,
        "illegible": record.illegible,
        "unaudited": record.unaudited,
    }


def _side(answers: Answers) -> Data:
    counts = {name: getattr(answers, name) for name in ("bad", "unknown", "planned")}
    return {"model": answers.model, **counts}


def _finite(value: float) -> float | None:
    return value if isfinite(value) else None


def _verdicts(records: Iterable[Record]) -> dict[str, int]:
    return dict(sorted(Counter(record.verdict.value for record in records).items()))


def _unscored(cells: Iterable[Data]) -> dict[str, int]:
    """Count each model's planned prompts without the verdict that counts."""
    found: Counter[str] = Counter()
    for cell in cells:
        found[cell["model"]] += cell["unknown"] if not cell["draw"] else 0
    return dict(sorted(found.items()))


def _listed(value: Any) -> Any:
    return list(value) if isinstance(value, tuple) else value
