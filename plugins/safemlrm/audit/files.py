"""The audit on disk, and what it allows a gate whose judge has to be borne out by people."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict
from fractions import Fraction
from math import isfinite, isnan, nan
from pathlib import Path
from typing import Any

from safemlrm.audit.estimates import Audit, Standing
from safemlrm.errors import ConfigError
from safemlrm.metrics.agreement import Kappa, kappa_labels
from safemlrm.types import ALL

FORMAT_VERSION = 2


def audit_text(audit: Audit) -> str:
    """Return an audit as JSON, the same for the same labels and responses; no clock and no path."""
    data = {"format": FORMAT_VERSION, **_finite(asdict(audit))}
    return json.dumps(data, indent=1, sort_keys=True, allow_nan=False) + "\n"


def _finite(data: Any) -> Any:
    if isinstance(data, dict):
        return {key: _finite(value) for key, value in data.items()}
    if isinstance(data, list | tuple):
        return [_finite(value) for value in data]
    return None if isinstance(data, float) and not isfinite(data) else data


def audit_essentials(path: Path) -> Mapping[str, Any] | None:
    """Return what reports show of the last audit, None before there was one.

    It is the audit without its tables a scenario. Raises `ConfigError` where it cannot be read.
    """
    data = _read(path)
    if data is None:
        return None
    try:
        shown = [a for a in data["agreements"] if a["scenario"] == ALL]
        names = ("judge", "digest", "unsafe_at", "channel", "labels", "day")
        lists = {name: data[name] for name in ("builds", "comparisons", "standings")}
        return {**{name: data[name] for name in names}, "agreements": shown, **lists}
    except (KeyError, TypeError) as error:
        raise _unreadable(path, f"{type(error).__name__}: {error}") from None


def judge_doubt(
    path: Path, pair: str, wanted: Fraction, *, digest: str, unsafe_at: int, channel: str
) -> str:
    """Say why a pair's verdicts prove too little for a limit `judge_kappa`; empty where they do not.

    The lower end of kappa's interval has to reach the limit: ten labels that happen to agree have a
    kappa of 1, and what was not shown does not count as shown. Raises `ConfigError` where the audit
    cannot be read.
    """
    asks = f"judge_kappa = {float(wanted):g}"
    data = _read(path)
    if data is None:
        return (
            f"{asks} asks for an audit of the judge, and there is no {path.name}: "
            "`safemlrm audit --draw 100 --to FILE` draws responses for people to label"
        )
    for name, now in (("digest", digest), ("unsafe_at", unsafe_at), ("channel", channel)):
        if data.get(name) != now:
            what = "version of the judge" if name == "digest" else name
            return (
                f"{asks}, but {path.name} is of another {what}: run `safemlrm audit LABELS` again "
                "with the labels there are"
            )
    standing = _standing(path, data, pair)
    if standing is None or not standing.own.n:
        return f"{asks}, but {path.name} has no label of the candidate of {pair}"
    if standing.picked:
        return (
            f"{asks}, but the labels are no random sample ({standing.picked}): kappa depends on it; "
            "draw responses by `safemlrm audit --draw`"
        )
    return _too_low(standing.kappa, wanted, asks) or _contradicted(standing.own, wanted, asks)


def _too_low(kappa: Kappa, wanted: Fraction, asks: str) -> str:
    if kappa.low >= wanted:
        return ""
    value = "not defined" if isnan(kappa.value) else f"{kappa.value:.2f}"
    found = f"kappa of judge and people is {value} [{kappa.low:.2f}, {kappa.high:.2f}] over {kappa.n} labels"
    more = kappa_labels(kappa, float(wanted))
    hope = f"; about {more} labels in all could show it" if more else ""
    return f"{found}, and its lower end has to reach {asks}{hope}"


def _contradicted(own: Kappa, wanted: Fraction, asks: str) -> str:
    """Say where the candidate's own labels rule out what those of both models show."""
    if own.high >= wanted:
        return ""
    value = "not defined" if isnan(own.value) else f"{own.value:.2f}"
    return (
        f"kappa of judge and people is {value} [{own.low:.2f}, {own.high:.2f}] over the {own.n} labels of "
        f"the candidate, which rules out {asks}, though over both models it is reached"
    )


def _read(path: Path) -> Mapping[str, Any] | None:
    try:
        data = json.loads(path.read_text("utf-8"))
    except FileNotFoundError:
        return None
    except (OSError, ValueError) as error:
        raise _unreadable(path, str(error).partition("\n")[0]) from None
    if not isinstance(data, dict) or data.get("format") != FORMAT_VERSION:
        raise _unreadable(path, "written by another version")
    return data


def _standing(path: Path, data: Mapping[str, Any], pair: str) -> Standing | None:
    try:
        for item in data["standings"]:
            if item["pair"] == pair:
                whole, own = _kappa(item["kappa"]), _kappa(item["own"])
                return Standing(pair, whole, own, str(item["picked"]))
    except (KeyError, TypeError, ValueError) as error:
        raise _unreadable(path, f"{type(error).__name__}: {error}") from None
    return None


def _kappa(data: Mapping[str, Any]) -> Kappa:
    value = nan if data["value"] is None else float(data["value"])
    return Kappa(value, float(data["low"]), float(data["high"]), int(data["n"]))


def _unreadable(path: Path, reason: str) -> ConfigError:
    return ConfigError(
        f"{path}: not an audit of a judge ({reason}); write it anew by `safemlrm audit LABELS`"
    )
