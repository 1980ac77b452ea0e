"""What tables of safety.toml say of one another: names exist and are distinct, limits can apply."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from fnmatch import fnmatchcase

from safemlrm.config.messages import suggest
from safemlrm.config.model import OWN, Model
from safemlrm.config.schema import METRICS, PAIR_METRICS, Config, JudgeTable, Override
from safemlrm.types import BASELINE

RESERVED = frozenset(
    {"all", "safety", "gpu", "skip", "skipif", "xfail", "parametrize", "usefixtures"}
)


def contradictions(config: Config) -> Iterator[str]:
    """Yield one line for each place where two parts of a valid file do not fit together."""
    yield from _pairs(config)
    yield from _unasked(config)
    if BASELINE in config.models:
        yield (
            f'[models.{BASELINE}] cannot have this name: base = "{BASELINE}" stands for the last '
            "accepted run"
        )
    yield from _engines(config)
    yield from _vllm(config)
    yield from _ray(config)
    yield from _servers(config)
    yield from _thinking(config)
    yield from _known(config.gate.judge, config.judges, "[gate] judge", "judges")
    for name, judge in config.judges.items():
        yield from _judge(config, name, judge)
        yield from _cut_off(config, name, judge)
    yield from _disagreement(config)
    yield from _entropy(config)
    yield from _markers(config)
    for number, override in enumerate(config.limits.override, start=1):
        yield from _override(config, override, f"[[limits.override]] #{number}")
    yield from _confirm(config)
    yield from _responses(config)
    yield from _prefill(config)


def _limiting(config: Config, *metrics: str) -> list[str]:
    """Return which of the metrics some table of limits names."""
    tables = (config.limits, *config.limits.override)
    return [name for name in metrics if any(getattr(t, name) is not None for t in tables)]


def _responses(config: Config) -> Iterator[str]:
    """Several responses of a prompt say more than one only where they can differ."""
    responses = config.gate.responses
    needing = _limiting(config, "safe_at_k", "cons_safe_at_k")
    if needing and responses == 1:
        yield (
            f"[limits] {' and '.join(needing)} needs several responses a prompt; set [gate] responses = "
            "5, say, or limit asr"
        )
    for name in sorted({pair.candidate for pair in config.pairs.values()}):
        if responses > 1 and config.models[name].temperature == 0:
            yield (
                f"[gate] responses = {responses}, but [models.{name}] temperature = 0 gives the same "
                "response each time; leave responses out, or measure at a temperature above 0"
            )


def _prefill(config: Config) -> Iterator[str]:
    """A rise by prefill is one over the same questions without it."""
    if not _limiting(config, "prefill_rise"):
        return
    kinds = {table.kind or (name,) for name, table in config.attacks.items()}
    for kind in ("direct", "prefill"):
        if (kind,) not in kinds:
            yield (
                f'[limits] prefill_rise compares attacks of kind "prefill" with one of kind "direct", and '
                f"there is no {kind} one; add [attacks.{kind}], or leave it out"
            )


def _confirm(config: Config) -> Iterator[str]:
    """Fresh responses settle a cell only where chance decides and failing is what has to be shown."""
    if not config.gate.confirm:
        return
    if config.gate.burden == "show_safe":
        yield (
            '[gate] confirm cannot go with burden = "show_safe": it would pass what was not shown to '
            "be safe; ask more prompts instead"
        )
    for name in sorted({pair.candidate for pair in config.pairs.values()}):
        if config.models[name].temperature == 0:
            yield (
                f"[gate] confirm needs responses that vary, but [models.{name}] temperature = 0 gives "
                "the same response again; leave confirm out, or measure at a temperature above 0"
            )


def _pairs(config: Config) -> Iterator[str]:
    for name, pair in config.pairs.items():
        where = f"[pairs.{name}]"
        yield from _known(pair.candidate, config.models, f"{where} candidate", "models")
        if pair.base is not None and pair.base != BASELINE:
            yield from _known(pair.base, config.models, f"{where} base", "models")
        for scenario in pair.scenarios or ():
            yield from _known(scenario, config.scenarios, f"{where} scenarios", "scenarios")
        if pair.base == pair.candidate:
            yield (
                f"{where} base and candidate are both {pair.base!r}, but a model cannot be "
                f'compared with itself; name another base, leave it out, or write "{BASELINE}" '
                "for its last accepted run"
            )


def _unasked(config: Config) -> Iterator[str]:
    """A scenario that every pair leaves out would be gated by nobody."""
    lists = [pair.scenarios for pair in config.pairs.values()]
    asked = {slug for listed in lists for slug in listed or config.scenarios}
    for slug in sorted(config.scenarios.keys() - asked):
        yield (
            f"[scenarios.{slug}] is asked of no pair, since each has a list of scenarios without it; "
            "add it to one, or remove the table"
        )


def _engines(config: Config) -> Iterator[str]:
    """A key that an engine does not read would be taken for one that it obeys."""
    for name, model in config.models.items():
        for key in sorted(model.model_fields_set & OWN.keys()):
            if model.engine not in OWN[key]:
                owners = " or ".join(f'"{owner}"' for owner in OWN[key])
                yield (
                    f"[models.{name}] {key} belongs to engine = {owners}, not to "
                    f'"{model.engine}"; leave it out'
                )
        needed = {"openai": ("url", "model"), "scripted": (), "imported": ("model",)}.get(
            model.engine, ("path",)
        )
        for key in needed:
            if getattr(model, key) is None:
                yield f'[models.{name}] engine = "{model.engine}" needs {key}'


def _vllm(config: Config) -> Iterator[str]:
    """A child of vLLM has as many GPUs as `tensor_parallel`; a checkpoint says how it is quantized."""
    for name, model in config.models.items():
        if model.engine != "vllm":
            continue
        if model.quantize is not None:
            yield (
                f'[models.{name}] quantize belongs to engine = "transformers"; vLLM runs a checkpoint '
                "as it was quantized and saved, so leave it out and name that checkpoint as path"
            )
        for device in () if model.devices == "auto" else model.devices:
            gpus = device.removeprefix("cuda:").split(",")
            wide = len(set(gpus)) == len(gpus) == model.tensor_parallel
            known = device.startswith("cuda:") and all(gpu.isdecimal() for gpu in gpus)
            if not device.startswith("cpu") and not (wide and known):
                wanted = ",".join(map(str, range(model.tensor_parallel)))
                yield (
                    f'[models.{name}] devices: "{device}" is not {model.tensor_parallel} GPUs '
                    f'(tensor_parallel); expected names such as "cuda:{wanted}"'
                )


def _ray(config: Config) -> Iterator[str]:
    """On a cluster Ray chooses the devices, and gives whole GPUs once they are more than one."""
    if config.ray is None:
        return
    if config.ray.gpus > 1 and not config.ray.gpus.is_integer():
        yield (
            f"[ray] gpus = {config.ray.gpus:g}: above 1 Ray gives whole GPUs only; "
            f"write {int(config.ray.gpus)}, or a part of one such as 0.5"
        )
    for name, model in config.models.items():
        if "devices" in model.model_fields_set and model.engine != "openai":
            yield (
                f"[models.{name}] devices belongs to this machine, but [ray] has models asked on a "
                "cluster; leave it out and set [ray] workers and gpus"
            )


def _servers(config: Config) -> Iterator[str]:
    """No line repeats what was written: an address and the name of a key may hold the key itself."""
    for name, model in config.models.items():
        where = f"[models.{name}]"
        mistakes = {url.mistake for url in model.url or ()} - {""}
        yield from (f"{where} url: {mistake}" for mistake in sorted(mistakes))
        if len({url.name for url in model.url or ()}) < len(model.url or ()):
            yield f"{where} url lists an address twice; list it once"
        if not re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]*", model.key_env):
            yield (
                f"{where} key_env: expected the name of an environment variable, which holds the key; "
                "a key itself must not stand in a file"
            )
        yield from _continued(where, model)


def _continued(where: str, model: Model) -> Iterator[str]:
    if model.engine != "openai" or model.thinking == "default":
        return
    if model.thinking == "more":
        yield (
            f'{where} thinking = "more" needs a model on this machine: a server does not say where a '
            "trace closes; leave it out"
        )
    elif not model.continue_turn:
        yield (
            f'{where} thinking = "{model.thinking}" begins the model\'s turn, which a chat API does not '
            "offer; set continue_turn = true if the server can go on with a turn "
            "(continue_final_message, as vLLM and SGLang can), or leave thinking out"
        )


def _thinking(config: Config) -> Iterator[str]:
    """How long a model thinks is steered by its markers."""
    for name, model in config.models.items():
        where = f"[models.{name}]"
        if model.thinking != "default" and model.reasoning is None:
            yield (
                f'{where} thinking = "{model.thinking}" needs the markers of the trace; give '
                'reasoning = { open = "<think>", close = "</think>" }, or leave thinking out'
            )
        if model.thinking != "more" and "thinking_rounds" in model.model_fields_set:
            yield f'{where} thinking_rounds belongs to thinking = "more"; leave it out'


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
        yield from _known(judge.model, config.models, f"{where} model", "models")
        if judge.model in {
            m for pair in config.pairs.values() for m in (pair.base, pair.candidate)
        }:
            yield f"{where} model = {judge.model!r} is a model of a pair, which cannot judge itself"
    yield from _jury(config, name, judge, where)


def _cut_off(config: Config, name: str, judge: JudgeTable) -> Iterator[str]:
    """A guard says safe or unsafe: above the score that stands for unsafe nothing could fail."""
    if judge.kind == "guard" and config.gate.unsafe_at > GUARD_UNSAFE:
        yield (
            f"[gate] unsafe_at = {config.gate.unsafe_at}, but [judges.{name}] is a guard, whose worst "
            f"score is {GUARD_UNSAFE}; lower unsafe_at, or take another judge"
        )


def _disagreement(config: Config) -> Iterator[str]:
    """Only a jury can disagree: with any other judge the limit could not fail."""
    if config.limits.disagreement is not None and config.gate.judge in config.judges:
        kind = config.judges[config.gate.judge].kind
        if kind != "jury":
            yield (
                f'[limits] disagreement needs a judge of kind = "jury", but [gate] judge = '
                f'{config.gate.judge!r} is of kind "{kind}"; leave it out'
            )


def _entropy(config: Config) -> Iterator[str]:
    """A trigger that changes every answer shifts the entropy of none: both are limited, or neither."""
    tables = [
        ("[limits]", config.limits),
        *(
            (f"[[limits.override]] #{number}", override)
            for number, override in enumerate(config.limits.override, start=1)
        ),
    ]
    for where, table in tables:
        changes = (table.answer_change, config.limits.answer_change)
        if table.entropy_shift is not None and changes == (None, None):
            yield (
                f"{where} entropy_shift counts unchanged answers only, so that a model which changes all "
                "of them would pass; give [limits] answer_change as well"
            )


def _jury(config: Config, name: str, judge: JudgeTable, where: str) -> Iterator[str]:
    """Jurors are other judges, each once, and none is a jury, which would talk on and on."""
    for juror in judge.jurors:
        yield from _known(juror, config.judges, f"{where} jurors: {juror!r}", "judges")
        if juror in config.judges and config.judges[juror].kind == "jury":
            yield f"{where} juror {juror!r} is a jury; name the judges it is made of"
    if judge.jurors and (len(judge.jurors) < 2 or len(set(judge.jurors)) < len(judge.jurors)):
        yield f"{where} needs two different jurors at least, each named once"
    if judge.foreman is not None and judge.foreman not in judge.jurors:
        meant = suggest(judge.foreman, judge.jurors)
        yield f"{where} foreman = {judge.foreman!r} is none of its jurors{meant}"


def _known(name: str, names: Iterable[str], where: str, table: str) -> Iterator[str]:
    if name not in names:
        yield f"{where} = {name!r}, but there is no [{table}.{name}]{suggest(name, names)}"


def _markers(config: Config) -> Iterator[str]:
    """Pairs, scenarios and attacks become markers, so no two share a name."""
    owners: dict[str, str] = {}
    for table in ("pairs", "scenarios", "attacks"):
        for slug in getattr(config, table):
            if slug in RESERVED:
                yield (
                    f"[{table}.{slug}] would hide the pytest marker {slug!r}; choose another name"
                )
            elif slug in owners:
                yield (
                    f"{slug!r} names both [{owners[slug]}.{slug}] and [{table}.{slug}]; "
                    "each name is a pytest marker, so rename one"
                )
            owners[slug] = table


def _override(config: Config, override: Override, where: str) -> Iterator[str]:
    """An override that changes nothing is a mistake that would go unnoticed."""
    metrics = [name for name in METRICS if getattr(override, name) is not None]
    if not metrics and not override.saturated:
        yield f"{where} limits nothing; give it a metric, such as asr = 0.2"
    for key in ("scenario", "attack", "pair"):
        glob, slugs = getattr(override, key), getattr(config, f"{key}s")
        if not any(fnmatchcase(slug, glob) for slug in slugs):
            yield f"{where} {key} = {glob!r} matches no [{key}s.NAME]{suggest(glob, slugs)}"
    narrowed = [key for key in ("scenario", "attack") if getattr(override, key) != "*"]
    whole = [name for name in metrics if name in PAIR_METRICS]
    if narrowed and whole:
        yield (
            f"{where} sets {', '.join(whole)} for one {' and '.join(narrowed)}, but that is "
            f"decided for the pair as a whole; leave out {' and '.join(narrowed)}"
        )
