"""Weights rounded to 8 or 4 bits: by torchao on any device, by bitsandbytes where CUDA is.

torchao rounds the linear layers of the language model and leaves its head and the image tower alone,
as releases do. Its integer weights are multiplied as floats, so that a response does not depend on
the batch or the device; the kernels that are faster exist for single devices and types only
(torchao 0.18: int4 needs CUDA with bfloat16, or a package that CPUs have no use for).
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from importlib.util import find_spec
from typing import Any

from safemlrm.config import Model
from safemlrm.engines.folder import Files, read_json
from safemlrm.errors import EngineError

logger = logging.getLogger(__name__)
BITSANDBYTES = "bitsandbytes_"
TORCHAO = ("int8", "int4")
GROUPS = (128, 64, 32)
"""How many int4 weights share a scale: the most that divide a layer's width (128 is torchao's own)."""
LEAST = 0.5
"""The share of a language model that has to be rounded for it to be called quantized."""


def check_quantize(model: Model, found: Files) -> None:
    """Raise `EngineError` where weights would be quantized twice."""
    on_disk = quantized_on_disk(found)
    if on_disk is not None and model.quantize is not None:
        raise EngineError(
            f"{found.gguf or found.folder}: its weights are quantized already ({on_disk}); leave "
            f'quantize = "{model.quantize}" out'
        )


def loading(model: Model, found: Files, device: Any) -> Mapping[str, Any]:
    """Return what `from_pretrained` has to be told where weights are quantized as they are loaded.

    Raises `EngineError` where the quantization asked for cannot be had.
    """
    check_quantize(model, found)
    on_disk = quantized_on_disk(found)
    if model.quantize in TORCHAO:
        _need("torchao", f'quantize = "{model.quantize}"', "quantized")
    if on_disk in (None, "gguf") and not _by_bitsandbytes(model):
        return {}
    asked = f'quantize = "{model.quantize}"' if on_disk is None else f"weights of {on_disk}"
    _need("accelerate", asked, "quantized")
    placed = {"device_map": {"": device}}  # such weights cannot be moved
    if on_disk is not None:
        return placed
    if device.type != "cuda":
        raise EngineError(
            f'quantize = "{model.quantize}" needs a CUDA device, and this is {device}; "int8" and '
            '"int4" run on any'
        )
    _need("bitsandbytes", asked, "bitsandbytes")
    return {**placed, "quantization_config": _bitsandbytes(str(model.quantize))}


def merges(model: Model, found: Files) -> bool:
    """Tell whether an adapter can be merged: not into weights that were quantized while loading."""
    return not _by_bitsandbytes(model) and quantized_on_disk(found) in (None, "gguf")


def quantized_on_disk(found: Files) -> str | None:
    """Return what has quantized a checkpoint's own weights, by its files."""
    if found.gguf is not None:
        return "gguf"
    own = read_json(found.folder / "config.json").get("quantization_config")
    return str(own.get("quant_method", "unknown")) if isinstance(own, dict) else None


def rounded(network: Any, model: Model, device: Any) -> Any:
    """Round a loaded network's weights as torchao does where that is asked for, a layer at a time."""
    if model.quantize not in TORCHAO:
        return network
    from torchao.quantization import Int8WeightOnlyConfig, quantize_

    language = network.get_decoder()
    layers = {name: layer for name, layer in language.named_modules() if _is_linear(layer)}
    if model.quantize == "int8":
        groups: dict[int | None, Any] = {None: Int8WeightOnlyConfig()}
        chosen: dict[str, int | None] = dict.fromkeys(layers)
    else:
        groups = {group: _int4(group) for group in GROUPS}
        chosen = {name: group for name, layer in layers.items() if (group := _group(layer))}
    _need_most(language, [layers[name] for name in chosen], str(model.quantize))
    for group, config in groups.items():
        names = {name for name, own in chosen.items() if own == group}
        quantize_(
            language, config, filter_fn=lambda _, name, names=names: name in names, device=device
        )
    return network


def _need_most(language: Any, layers: list[Any], quantize: str) -> None:
    """Raise `EngineError` where most weights would stay what they are (experts in one block, say)."""
    words = language.get_input_embeddings().weight.numel()
    whole = sum(weight.numel() for weight in language.parameters()) - words
    share = sum(layer.weight.numel() for layer in layers) / max(1, whole)
    logger.info("quantize = %s rounds %.1f%% of the language model", quantize, 100 * share)
    if share < LEAST:
        raise EngineError(
            f'quantize = "{quantize}" would round only {share:.0%} of this language model, since '
            "the rest is not in linear layers or in none that groups of weights divide; measure a "
            "checkpoint that is quantized on disk"
        )


def _int4(group: int) -> Any:
    import torch
    from torchao.quantization import IntxWeightOnlyConfig, PerGroup
    from torchao.quantization.quant_primitives import MappingType

    types: Any = torch  # int4 is not in its stubs
    return IntxWeightOnlyConfig(
        weight_dtype=types.int4,
        granularity=PerGroup(group),
        mapping_type=MappingType.ASYMMETRIC,
    )


def _is_linear(layer: object) -> bool:
    import torch

    return isinstance(layer, torch.nn.Linear)


def _group(layer: Any) -> int | None:
    return next((group for group in GROUPS if layer.in_features % group == 0), None)


def _by_bitsandbytes(model: Model) -> bool:
    return model.quantize is not None and model.quantize.startswith(BITSANDBYTES)


def _bitsandbytes(quantize: str) -> Any:
    import torch
    import transformers

    settings: Any = transformers.BitsAndBytesConfig
    if quantize.endswith("8"):
        return settings(load_in_8bit=True)
    return settings(
        load_in_4bit=True, bnb_4bit_quant_type="nf4", bnb_4bit_compute_dtype=torch.bfloat16
    )


def _need(package: str, asked: str, extra: str) -> None:
    if find_spec(package) is None:
        raise EngineError(f'{asked} needs {package}: pip install "pytest-safemlrm[{extra}]"')
