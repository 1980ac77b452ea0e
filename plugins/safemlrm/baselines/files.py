"""Accepted runs on disk: a file for the last one and one for the anchor, void under another instrument."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any, get_args

from safemlrm.baselines.run import AcceptedLimit, Baseline, Instrument, row_of
from safemlrm.errors import ConfigError
from safemlrm.types import Direction

FORMAT_VERSION = 2


@dataclass(frozen=True)
class Past:
    """What was accepted of a pair before, as far as a run can be compared with it.

    `void` holds a sentence for each file that was found and does not count, and for one that is lost.
    """

    last: Baseline | None
    anchor: Baseline | None
    void: tuple[str, ...] = ()

    @property
    def latest(self) -> Baseline | None:
        """The last accepted run, or the first where the last is lost."""
        return self.last or self.anchor


def baseline_path(folder: Path, pair: str) -> Path:
    """Return where the last accepted run of a pair lies."""
    return folder / f"{pair}.json"


def anchor_path(folder: Path, pair: str) -> Path:
    """Return where the first accepted run of a pair lies; no pair is named like it."""
    return folder / f"{pair}.anchor.json"


def write_baselines(files: Mapping[Path, Baseline]) -> None:
    """Write baselines, all or none as far as a disk allows: they take their places once all are written.

    They do so in the order of the mapping. Raises `ConfigError` when one cannot be written.
    """
    parts = {path: path.with_suffix(".part") for path in files}
    path = Path()
    try:
        for path, baseline in files.items():
            path.parent.mkdir(parents=True, exist_ok=True)
            parts[path].write_text(_text(baseline), "utf-8")
        for path, part in parts.items():
            part.replace(path)
    except OSError as error:
        for part in parts.values():
            with suppress(OSError):  # the first error is the one to tell
                part.unlink()
        raise ConfigError(
            f"{path}: the baseline could not be written ({error.strerror}); mend that and accept again"
        ) from None


def _text(baseline: Baseline) -> str:
    """Return a baseline as JSON, a line a limit and a prompt so that a review shows what changed."""
    data = asdict(baseline)
    limits, cells = data.pop("limits"), data.pop("cells")
    parts = [f'"format": {FORMAT_VERSION}']
    parts += [f"{json.dumps(key)}: {json.dumps(data[key], sort_keys=True)}" for key in data]
    tables = [f"{json.dumps(name)}: {_lines(rows)}" for name, rows in sorted(cells.items())]
    parts += [f'"limits": {_lines(limits)}', '"cells": {\n' + ",\n".join(tables) + "}"]
    return "{" + ",\n".join(parts) + "}\n"


def _lines(items: Sequence[object]) -> str:
    return "[\n" + ",\n".join(map(json.dumps, items)) + "]"


def read_past(folder: Path, pair: str, instrument: Instrument) -> Past:
    """Return what was accepted of a pair before; files that do not count are told of, not raised."""
    found: list[Baseline | None] = []
    void: list[str] = []
    for path in (baseline_path(folder, pair), anchor_path(folder, pair)):
        try:
            found.append(read_baseline(path, instrument))
        except ConfigError as error:
            found.append(None)
            void.append(str(error))
    last, anchor = found
    if last is not None and anchor is None and not void:
        void.append(
            f"{anchor_path(folder, pair)}: the first accepted run is gone; restore the file from "
            "version control, or accept with --loosen, which makes the last accepted run the anchor"
        )
    return Past(last, anchor, tuple(void))


def read_baseline(path: Path, instrument: Instrument) -> Baseline | None:
    """Return an accepted run of a pair, the last one or the anchor; None before there was one.

    Raises `ConfigError` when it cannot be read or was taken under another instrument.
    """
    try:
        baseline = _baseline(json.loads(path.read_text("utf-8")))
        changed = _changed(baseline, instrument)
    except FileNotFoundError:
        return None
    except (OSError, ValueError, TypeError, KeyError, AttributeError, ArithmeticError) as error:
        raise ConfigError(
            f"{path}: not a baseline ({error}); restore it from version control, or accept a run with "
            "`safemlrm accept --loosen`, which starts anew"
        ) from None
    if changed:
        raise ConfigError(
            f"{path}: accepted {changed} ({baseline.occasion}), so later runs cannot be compared with "
            "it; either measure the model accepted then once more and accept it with `safemlrm accept "
            f"{baseline.pair} --loosen`, then this one; or accept this one with --loosen, which starts "
            "anew with it as the anchor"
        )
    return baseline


def _baseline(data: dict[str, Any]) -> Baseline:
    """Return what a file holds; raises whatever its mistakes lead to."""
    if data.pop("format") != FORMAT_VERSION:
        raise ValueError("written by another version")
    instrument = Instrument(**data.pop("instrument"))
    limits = tuple(AcceptedLimit(**limit) for limit in data.pop("limits"))
    for limit in limits:
        Fraction(limit.value)
        if limit.direction not in get_args(Direction):
            raise ValueError(f"{limit.metric} is limited {limit.direction!r}")
    baseline = Baseline(**data, instrument=instrument, limits=limits)
    for rows in baseline.cells.values():
        list(map(row_of, rows))
    return baseline


def _changed(baseline: Baseline, now: Instrument) -> str:
    """Say how a run was accepted otherwise than the present one is measured; empty if it was not.

    Fewer cells or prompts than were accepted can be compared, more cannot.
    """
    then = baseline.instrument
    for part, name in (("scorer", "judge"), ("seed", "seed"), ("unsafe_at", "unsafe_at")):
        if getattr(then, part) != getattr(now, part):
            return f"under another {name}"
    for table, name in (("scenarios", "set of prompts for"), ("attacks", "version of")):
        before, after = getattr(then, table), getattr(now, table)
        for slug in sorted(before.keys() & after.keys()):
            if before[slug] != after[slug]:
                return f"under another {name} {slug}"
    for scenario, planned in sorted(now.planned.items()):
        for attack in sorted(now.attacks):
            rows = baseline.cells.get(f"{scenario}/{attack}")
            if rows is None:
                return f"over other cases: {scenario} / {attack} is new"
            if len(rows) < planned:
                return f"over fewer prompts: {scenario} has {planned} now and had {len(rows)}"
    return ""
