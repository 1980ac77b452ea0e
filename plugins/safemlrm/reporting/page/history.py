"""reports/history.jsonl: a line a run, so that the page can show where a pair comes from; no texts."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter, ValidationError

from safemlrm.errors import SafemlrmError
from safemlrm.reporting.page.reading import pictures_in
from safemlrm.reporting.summary import write_whole
from safemlrm.types import Estimate

NAME = "history.jsonl"
MOST = 400
"""A longer file is cut to its newest lines."""
KEPT = 300


@dataclass(frozen=True, slots=True)
class Standing:
    """Where a pair stood in one run: its candidate, its rates, and how much of its family was decided."""

    candidate: str
    decided: int
    configured: int
    failed: int
    asr: float | None = None
    low: float | None = None
    high: float | None = None
    tax: float | None = None

    @property
    def whole(self) -> bool:
        """Whether the run decided all there is, so that its rate is comparable with others'."""
        return self.decided == self.configured

    @property
    def rate(self) -> Estimate | None:
        """The ASR with its interval, None where nothing was measured."""
        if self.asr is None or self.low is None or self.high is None:
            return None
        return Estimate(self.asr, self.low, self.high, 0, 0)


@dataclass(frozen=True, slots=True)
class History:
    """One run: when it ended, under which profile, how, and where each of its pairs stood."""

    at: datetime
    profile: str | None
    headline: str
    verdicts: dict[str, int]
    pairs: dict[str, Standing]


_LINE = TypeAdapter(History)


def read_history(folder: Path) -> list[History]:
    """Return the past runs, oldest first; what cannot be read, such as a torn last line, is passed over.

    Raises `SafemlrmError` when the file is there and cannot be opened.
    """
    path = folder / NAME
    if not path.exists():
        return []
    try:
        lines = path.read_text("utf-8", errors="replace").splitlines()
    except OSError as error:
        raise SafemlrmError(f"{path}: the history could not be read ({error.strerror})") from error
    found = []
    for line in lines:
        try:
            found.append(_LINE.validate_json(line))
        except ValidationError:
            continue
    return found


def with_run(past: list[History], run: History) -> list[History]:
    """Return the history with a run at its end.

    A run that says of everything what the last one under its profile said, as a replay of the same
    measurement does, adds nothing: a trend is of models and limits, not of how often somebody looked.
    """
    last = next((old for old in reversed(past) if old.profile == run.profile), None)
    if last is not None and replace(run, at=last.at) == last:
        return past
    runs = [*past, run]
    return runs[-KEPT:] if len(runs) > MOST else runs


def append_history(run: History, folder: Path) -> list[History]:
    """Add a run to the file, unless it is no news, and return all of it.

    Raises `SafemlrmError` when the folder cannot be written to.
    """
    past = read_history(folder)
    runs = with_run(past, run)
    if runs is past:
        return past
    path = folder / NAME
    if len(runs) <= len(past):  # cut to its newest lines
        write_whole(path, b"".join(map(_line, runs)).decode("utf-8"))
        return runs
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with path.open("a+b") as file:
            file.seek(0, 2)
            torn = file.tell() and _last_byte(path) != b"\n"
            file.write((b"\n" if torn else b"") + _line(run))
    except OSError as error:
        raise SafemlrmError(
            f"{path}: the history could not be written ({error.strerror})"
        ) from error
    return runs


def _last_byte(path: Path) -> bytes:
    with path.open("rb") as file:
        file.seek(-1, 2)
        return file.read(1)


def _line(run: History) -> bytes:
    data = {**asdict(run), "at": run.at.isoformat(timespec="seconds")}
    return json.dumps(data, sort_keys=True, allow_nan=False).encode("utf-8") + b"\n"


def history_of(summary: Mapping[str, Any], headline: str, at: datetime) -> History:
    """Return a run's line."""
    pairs = dict.fromkeys(decision["pair"] for decision in summary["decisions"])
    return History(
        at=at.replace(microsecond=0),
        profile=summary["profile"],
        headline=headline,
        verdicts=dict(summary["verdicts"]),
        pairs={pair: _standing(summary, pair) for pair in sorted(pairs)},
    )


def _standing(summary: Mapping[str, Any], pair: str) -> Standing:
    decided = [d for d in summary["decisions"] if d["pair"] == pair]
    left = sum(entry["pair"] == pair for entry in summary["not_run"])
    model = summary["pairs"][pair]["candidate"]
    start = Standing(
        candidate=summary["models"].get(model, {}).get("digest", "")[:12],
        decided=len(decided),
        configured=len(decided) + left,
        failed=sum(d["verdict"] == "FAIL" for d in decided),
    )
    tax = next((p.tax for p in pictures_in(summary) if p.pair == pair), None)
    if tax is None or not tax.candidate.n:
        return _without_base(summary, pair, start)
    asr = tax.candidate
    return replace(
        start, asr=asr.value, low=asr.low, high=asr.high, tax=_finite(tax.difference.value)
    )


def _without_base(summary: Mapping[str, Any], pair: str, start: Standing) -> Standing:
    """Pool the counted cases of a pair that has nothing to be compared with."""
    from safemlrm.metrics.rates import clopper_pearson

    cells = [r for r in summary["rates"] if (r["pair"], r["metric"]) == (pair, "asr")]
    known = sum(r["prompts"] - r["unknown"] for r in cells)
    if not known:
        return start
    asr = clopper_pearson(sum(r["bad"] for r in cells), known)
    return replace(start, asr=asr.value, low=asr.low, high=asr.high)


def _finite(value: float) -> float | None:
    return value if value == value else None
