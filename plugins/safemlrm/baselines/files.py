"""Accepted runs on disk: a file for the last one and one for the anchor, void under another instrument."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from fractions import Fraction
from hashlib import sha256
from pathlib import Path
from typing import Any

from safemlrm.baselines.run import Baseline, Instrument, row_of
from safemlrm.errors import ConfigError

FORMAT_VERSION = 3


@dataclass(frozen=True)
class Past:
    """What was accepted of a pair before, as far as a run can be compared with it.

    `void` holds a sentence for each file that was found and does not count, and for one that is lost.
    `kept` is the last run that can be read at all: its limits speak even where its outcomes are void.
    """

    last: Baseline | None
    anchor: Baseline | None
    void: tuple[str, ...] = ()
    kept: Baseline | None = None

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
    head = {"format": FORMAT_VERSION, "digest": digest_of(data)}
    limits, cells = data.pop("limits"), data.pop("cells")
    parts = [f"{json.dumps(key)}: {json.dumps(value)}" for key, value in head.items()]
    parts += [f"{json.dumps(key)}: {json.dumps(data[key], sort_keys=True)}" for key in data]
    tables = [f"{json.dumps(name)}: {_lines(rows)}" for name, rows in sorted(cells.items())]
    parts += [f'"limits": {_lines(limits)}', '"cells": {\n' + ",\n".join(tables) + "}"]
    return "{" + ",\n".join(parts) + "}\n"


def digest_of(data: Mapping[str, Any] | Baseline) -> str:
    """Return a checksum of a baseline: a merge or an edit by hand must not go unnoticed."""
    plain = asdict(data) if isinstance(data, Baseline) else data
    return sha256(json.dumps(plain, sort_keys=True).encode()).hexdigest()


def _lines(items: Sequence[object]) -> str:
    return "[\n" + ",\n".join(map(json.dumps, items)) + "]"


def read_past(folder: Path, pair: str, instrument: Instrument) -> Past:
    """Return what was accepted of a pair before; files that do not count are told of, not raised.

    One of the two files alone does not count either: the other one was lost.
    """
    void: list[str] = []
    path, first = baseline_path(folder, pair), anchor_path(folder, pair)
    found = {file: _read(file, pair, void) for file in (path, first)}
    counted = {file: run for file, run in found.items() if run and not _changed(run, instrument)}
    void += [
        _voided(file, _changed(run, instrument), run)
        for file, run in found.items()
        if run and file not in counted
    ]
    last, anchor = counted.get(path), counted.get(first)
    if path.is_file() != first.is_file():
        void.append(_lost(first if path.is_file() else path))
    elif last and anchor and last.anchor != digest_of(anchor):
        void.append(
            f"{first}: not the anchor that {path.name} was accepted against; restore both files from "
            "version control, or accept a run with --loosen, which starts anew"
        )
        anchor = None
    return Past(last, anchor, tuple(void), found[path] or found[first])


def _voided(path: Path, changed: str, run: Baseline) -> str:
    return (
        f"{path}: accepted {changed} ({run.occasion}), so later runs cannot be compared with it; either "
        f"measure the model accepted then once more and accept it with `safemlrm accept {run.pair} --loosen "
        "--by NAME --reason TEXT`, then this one; or accept this one so, which starts anew with it as "
        "the anchor"
    )


def _lost(path: Path) -> str:
    return (
        f"{path}: this accepted run is gone; restore the file from version control, or accept a run with "
        "--loosen, which puts the one that is left, or the accepted one, in its place"
    )


def _read(path: Path, pair: str, void: list[str]) -> Baseline | None:
    """Return an accepted run; None if there is none, or if what is there is none, which is told."""
    try:
        data = json.loads(path.read_text("utf-8"))
        return _baseline(data, pair)
    except FileNotFoundError:
        return None
    except (OSError, ValueError, TypeError, KeyError, AttributeError, ArithmeticError) as error:
        reason = str(error).partition("\n")[0]
        void.append(
            f"{path}: not a baseline of {pair} ({reason}); restore it from version control, or accept a "
            "run with `safemlrm accept --loosen`, which starts anew"
        )
        return None


def _baseline(data: dict[str, Any], pair: str) -> Baseline:
    """Return what a file holds; raises whatever its mistakes lead to."""
    from pydantic import TypeAdapter

    if data.pop("format") != FORMAT_VERSION:
        raise ValueError("written by another version")
    if data.pop("digest") != digest_of(data):
        raise ValueError("it was changed since it was accepted")
    baseline = TypeAdapter(Baseline).validate_python(data)
    if baseline.pair != pair:
        raise ValueError(f"it is of the pair {baseline.pair}")
    for limit in baseline.limits:
        Fraction(limit.value)
    for rows in baseline.cells.values():
        list(map(row_of, rows))
    return replace(baseline, limits=tuple(baseline.limits))


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
