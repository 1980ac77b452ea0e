"""Keys of [models.NAME] and [ray] that an engine needs, does not read, or cannot obey together."""

from __future__ import annotations

import re
from collections.abc import Iterator

from safemlrm.config.model import OWN, Model
from safemlrm.config.schema import Config


def keys(config: Config) -> Iterator[str]:
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


def vllm(config: Config) -> Iterator[str]:
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


def cluster(config: Config) -> Iterator[str]:
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


def servers(config: Config) -> Iterator[str]:
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


def thinking(config: Config) -> Iterator[str]:
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
