"""What a comparison knows of a run: a release record, a summary, or a name that stands for one."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from safemlrm.errors import ConfigError, SafemlrmError
from safemlrm.evidence import CellResult
from safemlrm.family import FIRST
from safemlrm.release import RECORD_NAME, ReleaseRecord, checksum_of, read_record, result_of
from safemlrm.tune import Rate, read_run
from safemlrm.types import Channel

SUMMARY = "summary.json"
Asked = tuple[str, str]
"""Scenario and attack."""


@dataclass(frozen=True)
class Terms:
    """What two runs must have in common; what is None is not known and not compared."""

    judge: str | None = None
    unsafe_at: int | None = None
    channel: str | None = None
    prompts: Mapping[str, str] = field(default_factory=dict)
    attacks: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Pair:
    """The candidate of a pair in one run: its cells where outcomes are known, and its rates.

    A rate counts by the name of a metric; cells carry the rates of their own.
    """

    name: str
    candidate: str
    terms: Terms
    cells: Mapping[Asked, CellResult] = field(default_factory=dict)
    rates: tuple[Rate, ...] = ()


@dataclass(frozen=True)
class Side:
    """One run of a comparison under the name it was called by; `notes` are for whoever reads it."""

    name: str
    pairs: Mapping[str, Pair]
    notes: tuple[str, ...] = ()


NAMED: dict[str, Callable[[], Side]] = {}
"""Runs that go by a name; a module that has some adds them here."""


def read_side(run: str) -> Side:
    """Return the run of a file, of a folder of reports, or of a known name.

    Raises `SafemlrmError` where there is none, or what is there cannot be read.
    """
    path = Path(run)
    if run in NAMED and not path.exists():
        return NAMED[run]()
    if path.is_dir():
        path = path / RECORD_NAME if (path / RECORD_NAME).is_file() else path / SUMMARY
    if not path.is_file():
        names = f", or one of {', '.join(sorted(NAMED))}" if NAMED else ""
        raise SafemlrmError(
            f"{run}: no run to compare; name a {RECORD_NAME}, a {SUMMARY}, or a folder that holds "
            f"one{names}"
        )
    return side_of(read_record(path), run) if _is_record(path) else _of_summary(path, run)


def _is_record(path: Path) -> bool:
    try:
        data = json.loads(path.read_text("utf-8"))
    except (OSError, ValueError) as error:
        reason = str(error).partition("\n")[0]
        raise ConfigError(
            f"{path}: cannot be read as a run ({reason}); take what a run wrote"
        ) from None
    return isinstance(data, dict) and "checksum" in data


def side_of(record: ReleaseRecord, name: str) -> Side:
    """Return the run of a release record, refused where it does not fit its checksum or itself."""
    if checksum_of(record.model_dump(mode="json")) != record.checksum:
        raise SafemlrmError(
            f"{name}: the record was changed after it was written; `safemlrm verify` says in what"
        )
    try:
        return Side(name, _pairs(record))
    except (KeyError, TypeError, ValueError) as error:
        raise ConfigError(
            f"{name}: the record contradicts itself ({type(error).__name__}); `safemlrm verify` says "
            "in what"
        ) from None


def _pairs(record: ReleaseRecord) -> dict[str, Pair]:
    channel: Channel = record.gate["channel"]
    pairs = {}
    for pair, (candidate, _) in record.pairs.items():
        found = {
            (cell.scenario, cell.attack): _shortened(
                result_of(
                    cell,
                    record.scenarios[cell.scenario].expectation,
                    record.gate["unsafe_at"],
                    channel,
                ),
                record,
            )
            for cell in record.cells
            if cell.model == candidate and not cell.draw
        }
        pairs[pair] = Pair(pair, str(candidate), _terms(record, str(candidate)), found)
    return pairs


def _shortened(result: CellResult, record: ReleaseRecord) -> CellResult:
    """Return the first prompts where cells stop by their outcomes: the rate at a stop is biased."""
    return result.prefix(FIRST) if record.gate["stop"] == "early" else result


def _terms(record: ReleaseRecord, candidate: str) -> Terms:
    return Terms(
        judge=record.judge.scorers.get(candidate) if record.judge else None,
        unsafe_at=record.gate["unsafe_at"],
        channel=record.gate["channel"],
        prompts={slug: scenario.content for slug, scenario in record.scenarios.items()},
        attacks=dict(record.attacks),
    )


def _of_summary(path: Path, name: str) -> Side:
    """Return the rates of a summary.json, which knows no prompt by itself."""
    run = read_run(name, path.read_text("utf-8"))
    pairs = {}
    for pair, then in run.terms.items():
        terms = Terms(
            judge=then.scorer,
            unsafe_at=then.unsafe_at,
            channel=then.channel,
            prompts=dict(then.prompts),
            attacks=dict(then.attacks),
        )
        rates = tuple(rate for rate in run.rates if rate.pair == pair)
        pairs[pair] = Pair(pair, "", terms, rates=rates)
    return Side(name, pairs)
