"""A record against the safety.toml of today: what was loosened, swapped or left out of it (pure)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from fractions import Fraction
from typing import Any

from safemlrm.baselines.run import subject_of
from safemlrm.config import Config
from safemlrm.family import Family, Hypothesis
from safemlrm.matrix import Matrix
from safemlrm.reading import HOW
from safemlrm.release.differences import differences, shown, worded
from safemlrm.release.form import RecordedLimit
from safemlrm.release.settings import recorded_config
from safemlrm.types import ALL

DECIDING = (
    "models",
    "pairs",
    "scenarios",
    "attacks",
    "judges",
    "gate",
    "limits",
    "baselines",
    "audit",
)
"""Tables that can change a decision."""
LIMITING = ("channel", "judge_kappa")
"""Keys of [limits] that are no limit of one hypothesis."""
Key = tuple[str, str, str, str]


def against_present(
    limits: Sequence[RecordedLimit],
    then: Matrix,
    recorded: Config,
    present: Config,
    now: Matrix,
    families: Mapping[str, Family],
) -> list[str]:
    """Return a sentence for each way in which the recorded configuration is not the present one."""
    file = present.file.name
    return [
        *_cases(then, now, file),
        *_limits(limits, families, file),
        *_settings(recorded, present, file),
    ]


def _cases(then: Matrix, now: Matrix, file: str) -> Iterator[str]:
    for case in now.cases:
        if case not in then.cases:
            yield f"{case.pair} / {case.scenario} / {case.attack}: configured in {file}, not in the record"
    for case in then.cases:
        if case not in now.cases:
            yield f"{case.pair} / {case.scenario} / {case.attack}: in the record, not configured in {file}"


def _limits(
    limits: Sequence[RecordedLimit], families: Mapping[str, Family], file: str
) -> Iterator[str]:
    recorded = {(each.pair, each.scenario, each.attack, each.metric): each for each in limits}
    present = {(h.subject.pair, *subject_of(h)): h for f in families.values() for h in f.hypotheses}
    for key, h in present.items():
        if key not in recorded:
            yield f"{named(key)}: limited in {file} ({h.limit.value}), not limited in the record"
        else:
            yield from _limit(recorded[key], h, file)
    for key in recorded.keys() - present.keys():
        yield f"{named(key)}: limited in the record, not limited in {file}"


def _limit(then: RecordedLimit, now: Hypothesis, file: str) -> Iterator[str]:
    where = named((then.pair, then.scenario, then.attack, then.metric))
    value = Fraction(then.value)
    if (value, then.direction) != (now.limit.value, now.limit.direction):
        words = [
            f"{d.replace('_', ' ')} {float(v) * 100:.12g}%"
            for d, v in ((then.direction, value), (now.limit.direction, now.limit.value))
        ]
        looser = value > now.limit.value if then.direction == "at_most" else value < now.limit.value
        what = "loosened limit" if looser else "other limit"
        yield f"{where}: {what}: {words[0]} in the record, {words[1]} in {file}"
    if then.n != now.n:
        yield f"{where}: decided on {then.n} prompts in the record, {now.n} in {file}"
    if then.saturated != now.limit.saturated:
        yield f"{where}: saturated = {worded(then.saturated)} in the record, otherwise in {file}"


def _settings(recorded: Config, present: Config, file: str) -> Iterator[str]:
    then, now = (recorded_config(each, defaults=True) for each in (recorded, present))
    for found in differences(_deciding(then), _deciding(now)):
        table, _, key = found.where.partition(".")
        yield (
            f"[{shown(table)}] {shown(key)}: {worded(found.recorded)} in the record, "
            f"{worded(found.found)} in {file}"
        )


def _deciding(config: Mapping[str, Any]) -> dict[str, Any]:
    """Return the tables that can change a decision, without what is compared limit by limit."""
    found = {name: config[name] for name in DECIDING}
    found["limits"] = {key: config["limits"][key] for key in LIMITING}
    found["models"] = {
        name: {key: value for key, value in model.items() if key not in HOW}
        for name, model in config["models"].items()
    }
    return found


def named(key: Key) -> str:
    """Return a hypothesis as people read it."""
    *subject, metric = map(shown, key)
    return f"{' / '.join(part for part in subject if part != ALL)}, {metric}"
