"""Accepted runs: per-prompt outcomes of a pair's candidate, kept to compare later candidates with."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import date
from pathlib import Path
from typing import Any

from safemlrm.errors import ConfigError
from safemlrm.evidence import CellResult
from safemlrm.responses.store import Row, Scored
from safemlrm.types import BASELINE, Cell, Score, TraceState

FORMAT_VERSION = 1


@dataclass(frozen=True, slots=True)
class Instrument:
    """What a comparison holds fixed; a baseline taken under another instrument is void."""

    scorer: str
    seed: int
    unsafe_at: int
    channel: str
    scenarios: Mapping[str, str]
    attacks: Mapping[str, str]


@dataclass(frozen=True)
class Baseline:
    """The outcomes of an accepted run, and under which instrument, by whom and why it was accepted."""

    pair: str
    model: Mapping[str, str]
    instrument: Instrument
    by: str
    on: str
    reason: str
    cells: Mapping[str, Sequence[Mapping[str, Any]]]

    def result(self, like: CellResult) -> CellResult | None:
        """Return the accepted outcomes of the cell that `like` is a candidate's result of."""
        rows = self.cells.get(f"{like.cell.scenario}/{like.cell.attack}")
        if rows is None:
            return None
        return CellResult(
            Cell(BASELINE, like.cell.scenario, like.cell.attack),
            like.expectation,
            tuple(row for row in map(_row, rows) if row.position < like.planned),
            like.planned,
            like.unsafe_at,
            like.channel,
            asked=min(len(rows), like.planned),
        )


def baseline_path(folder: Path, pair: str) -> Path:
    """Return where the baseline of a pair lies in a reports folder."""
    return folder / "baselines" / f"{pair}.json"


def accept(
    pair: str,
    results: Sequence[CellResult],
    instrument: Instrument,
    model: Mapping[str, str],
    *,
    by: str,
    reason: str,
    today: date,
) -> Baseline:
    """Return a baseline of measured cells.

    Raises `ConfigError` unless every planned prompt of every cell was asked and scored by the judge:
    a comparison with a hole in it would hide what fell through.
    """
    for result in results:
        missing = result.planned - sum(row.scored is not None for row in result.rows)
        if missing:
            raise ConfigError(
                f"{pair}: {missing} of {result.planned} prompts of {result.cell.scenario} under "
                f"{result.cell.attack} were not measured; run the whole pair first"
            )
    cells = {f"{r.cell.scenario}/{r.cell.attack}": [_plain(row) for row in r.rows] for r in results}
    return Baseline(pair, model, instrument, by, today.isoformat(), reason, cells)


def write_baseline(baseline: Baseline, path: Path) -> None:
    """Write a baseline as JSON, a line a prompt so that a review shows what changed."""
    head = {key: value for key, value in asdict(baseline).items() if key != "cells"}
    lines = [
        f"{json.dumps(key)}: {json.dumps(value, sort_keys=True)}" for key, value in head.items()
    ]
    cells = [
        f"{json.dumps(name)}: [\n" + ",\n".join(json.dumps(row) for row in rows) + "]"
        for name, rows in sorted(baseline.cells.items())
    ]
    text = f'{{"format": {FORMAT_VERSION},\n' + ",\n".join(lines) + ',\n"cells": {\n'
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        part = path.with_suffix(".part")
        part.write_text(text + ",\n".join(cells) + "}}\n", "utf-8")
        part.replace(path)
    except OSError as error:
        raise ConfigError(f"{path}: the baseline could not be written ({error.strerror})") from None


def read_baseline(path: Path, instrument: Instrument) -> Baseline | None:
    """Return the baseline of a pair, None before the first one was accepted.

    Raises `ConfigError` when it cannot be read or was taken under another instrument.
    """
    if not path.is_file():
        return None
    try:
        data = json.loads(path.read_text("utf-8"))
        if data.pop("format") != FORMAT_VERSION:
            raise ValueError("written by another version")
        baseline = Baseline(**{**data, "instrument": Instrument(**data["instrument"])})
        for rows in baseline.cells.values():
            list(map(_row, rows))
    except (OSError, ValueError, TypeError, KeyError, AttributeError) as error:
        raise ConfigError(f"{path}: not a baseline ({error}); accept a run again") from None
    changed = _changed(baseline.instrument, instrument)
    if changed:
        raise ConfigError(
            f"{path}: accepted under another {changed}, so the two runs cannot be compared; "
            "measure the accepted model again and run `safemlrm accept`"
        )
    return baseline


def _changed(then: Instrument, now: Instrument) -> str:
    """Name the first part of the instrument that differs; cells that are new do not count."""
    for part, name in (("scorer", "judge"), ("seed", "seed"), ("unsafe_at", "unsafe_at")):
        if getattr(then, part) != getattr(now, part):
            return name
    for table, name in (("scenarios", "set of prompts for"), ("attacks", "version of")):
        before, after = getattr(then, table), getattr(now, table)
        for slug in sorted(before.keys() & after.keys()):
            if before[slug] != after[slug]:
                return f"{name} {slug}"
    return ""


def _plain(row: Row) -> dict[str, Any]:
    assert row.scored is not None
    scored = row.scored
    return {
        "position": row.position,
        "prompt": row.prompt,
        "finish": row.finish,
        "state": scored.state.value,
        **asdict(scored.score),
    }


def _row(data: Mapping[str, Any]) -> Row:
    values = dict(data)
    position, prompt = values.pop("position"), values.pop("prompt")
    finish, state = values.pop("finish"), TraceState(values.pop("state"))
    return Row(position, prompt, "", finish, 0, Scored(Score(**values), state))
