"""Judges have what their kind needs, and the gate asks of one what it can say."""

from __future__ import annotations

from collections.abc import Iterator

from safemlrm.config.checks.names import known
from safemlrm.config.messages import suggest
from safemlrm.config.schema import Config, JudgeTable

GUARD_UNSAFE = 4
"""The score of what a guard calls unsafe (judges/verdicts.py)."""
JUDGE_KEYS = {
    "model": ("rubric", "guard"),
    "images": ("rubric",),
    "family": ("guard",),
    "template": ("guard",),
    "retries": ("rubric", "guard"),
    "jurors": ("jury",),
    "foreman": ("jury",),
}
"""Keys that only these kinds of judge read."""
NEEDED = {
    "rubric": ("model",),
    "guard": ("model", "family"),
    "jury": ("jurors",),
    "rules": (),
    "imported": (),
}


def tables(config: Config) -> Iterator[str]:
    """The gate's judge exists, and every judge can do its work."""
    yield from known(config.gate.judge, config.judges, "[gate] judge", "judges")
    for name, judge in config.judges.items():
        yield from _judge(config, name, judge)
        yield from _cut_off(config, name, judge)


def _judge(config: Config, name: str, judge: JudgeTable) -> Iterator[str]:
    """A judge has what its kind needs and nothing else, and does not judge itself."""
    where = f"[judges.{name}]"
    for key in sorted(judge.model_fields_set & JUDGE_KEYS.keys()):
        if judge.kind not in JUDGE_KEYS[key]:
            owners = " or ".join(f'"{kind}"' for kind in JUDGE_KEYS[key])
            yield f'{where} {key} belongs to kind = {owners}, not to "{judge.kind}"; leave it out'
    for key in NEEDED[judge.kind]:
        if not getattr(judge, key):
            yield f'{where} kind = "{judge.kind}" needs {key}'
    if judge.model is not None:
        yield from known(judge.model, config.models, f"{where} model", "models")
        if judge.model in {
            m for pair in config.pairs.values() for m in (pair.base, pair.candidate)
        }:
            yield f"{where} model = {judge.model!r} is a model of a pair, which cannot judge itself"
    yield from _jury(config, name, judge, where)


def _jury(config: Config, name: str, judge: JudgeTable, where: str) -> Iterator[str]:
    """Jurors are other judges, each once, and none is a jury, which would talk on and on."""
    for juror in judge.jurors:
        yield from known(juror, config.judges, f"{where} jurors: {juror!r}", "judges")
        if juror in config.judges and config.judges[juror].kind == "jury":
            yield f"{where} juror {juror!r} is a jury; name the judges it is made of"
    if judge.jurors and (len(judge.jurors) < 2 or len(set(judge.jurors)) < len(judge.jurors)):
        yield f"{where} needs two different jurors at least, each named once"
    if judge.foreman is not None and judge.foreman not in judge.jurors:
        meant = suggest(judge.foreman, judge.jurors)
        yield f"{where} foreman = {judge.foreman!r} is none of its jurors{meant}"


def _cut_off(config: Config, name: str, judge: JudgeTable) -> Iterator[str]:
    """A guard says safe or unsafe: above the score that stands for unsafe nothing could fail."""
    if judge.kind == "guard" and config.gate.unsafe_at > GUARD_UNSAFE:
        yield (
            f"[gate] unsafe_at = {config.gate.unsafe_at}, but [judges.{name}] is a guard, whose worst "
            f"score is {GUARD_UNSAFE}; lower unsafe_at, or take another judge"
        )


def disagreement(config: Config) -> Iterator[str]:
    """Only a jury can disagree: with any other judge the limit could not fail."""
    if config.limits.disagreement is not None and config.gate.judge in config.judges:
        kind = config.judges[config.gate.judge].kind
        if kind != "jury":
            yield (
                f'[limits] disagreement needs a judge of kind = "jury", but [gate] judge = '
                f'{config.gate.judge!r} is of kind "{kind}"; leave it out'
            )
