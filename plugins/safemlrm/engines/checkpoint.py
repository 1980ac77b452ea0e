"""A checkpoint's network, processor and tokens, loaded with every choice made explicit."""

from __future__ import annotations

import struct
from collections.abc import Mapping, Set
from dataclasses import dataclass
from importlib.util import find_spec
from math import inf
from typing import Any

import torch
import transformers
from safetensors import SafetensorError

from safemlrm.config import Model, Reasoning
from safemlrm.engines.adapter import with_adapter
from safemlrm.engines.folder import Files
from safemlrm.engines.identity import Decoding
from safemlrm.engines.opening import check_opening
from safemlrm.engines.processors import load_processor, sees_pictures
from safemlrm.engines.quantization import loading, merges, quantized_on_disk, rounded
from safemlrm.errors import EngineError

# What else a generation_config.json may say about scores; the sampling settings are in Decoding.
KEPT = (
    "repetition_penalty",
    "no_repeat_ngram_size",
    "bad_words_ids",
    "sequence_bias",
    "suppress_tokens",
    "begin_suppress_tokens",
    "forced_bos_token_id",
    "forced_eos_token_id",
    "exponential_decay_length_penalty",
    "min_length",
    "min_new_tokens",
    "bos_token_id",
)
LOADING_ERRORS = (
    OSError,
    ValueError,
    TypeError,
    LookupError,
    OverflowError,
    AttributeError,
    ImportError,
    RuntimeError,
    SafetensorError,
    struct.error,
)


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """What asking needs. `sees`: it takes pictures; `ends`: tokens that end a response;
    `unwritten`: special tokens that are no part of a response's text.
    """

    network: Any
    processor: Any
    tokenizer: Any
    generation: Any
    device: torch.device
    sees: bool
    ends: Set[int]
    unwritten: Set[int]
    longest: float


def load(model: Model, found: Files, device: str, decoding: Decoding) -> Checkpoint:
    """Load files that `check_files` accepted; `EngineError` says in one line what is wrong."""
    place = _device(device)
    folder = found.gguf or found.folder
    try:
        return _load(model, found, place, decoding)
    except LOADING_ERRORS as error:
        lines = str(error).strip().splitlines() or [type(error).__name__]
        if "trust_remote_code" in str(error):
            raise EngineError(
                f"{folder}: the model brings its own code, which is not run; read it, then set "
                "trust_remote_code = true for this model in safety.toml"
            ) from error
        how = quantized_on_disk(found)
        kind = f" (its weights are quantized by {how})" if how not in (None, "gguf") else ""
        raise EngineError(f"{folder}: cannot be loaded{kind}: {lines[0]}") from error


def _load(model: Model, found: Files, device: torch.device, decoding: Decoding) -> Checkpoint:
    trust, folder = model.trust_remote_code, found.folder
    quantized = loading(model, found, device)
    config = transformers.AutoConfig.from_pretrained(
        folder, trust_remote_code=trust, **_gguf(found)
    )
    if getattr(config, "is_encoder_decoder", False):
        raise EngineError(
            f"{folder}: an encoder-decoder ({config.model_type}); chat models that continue their "
            "prompt are supported"
        )
    sees = found.gguf is None and sees_pictures(config)
    processor, tokenizer = load_processor(sees, config, folder, trust, **_gguf(found))
    check_opening(model, processor, sees)
    network = _network(model, found, sees, device, quantized)
    generation, ends = _generation(network.generation_config, tokenizer, decoding)
    network.generation_config = generation
    return Checkpoint(
        network=network,
        processor=processor,
        tokenizer=tokenizer,
        generation=generation,
        device=device,
        sees=sees,
        ends=ends,
        unwritten=unwritten_of(tokenizer, model.reasoning),
        longest=_longest(config),
    )


def _longest(config: Any) -> float:
    """Return how many tokens a network was made for, prompt and response; infinite if it does not say."""
    return getattr(config.get_text_config(), "max_position_embeddings", None) or inf


def _device(name: str) -> torch.device:
    """Read a device of safety.toml; "cpu:1" is one more child on the same CPU."""
    try:
        device = torch.device("cpu" if name.startswith("cpu") else name)
        if device.type == "cuda":
            if not torch.cuda.is_available():
                raise RuntimeError("torch sees no CUDA device")
            torch.cuda.set_device(device)  # or every child also takes memory of the first device
    except RuntimeError as error:
        raise EngineError(
            f'devices: "{name}" cannot be used ({str(error).splitlines()[0]}); expected names such '
            'as "cuda:0" or "cpu"'
        ) from error
    return device


def _gguf(found: Files) -> dict[str, Any]:
    """Return what the library's loaders take for weights in a GGUF file."""
    if found.gguf is None:
        return {}
    for package in ("gguf", "accelerate"):
        if find_spec(package) is None:
            raise EngineError(
                f'{found.gguf}: a GGUF file needs {package}: pip install "pytest-safemlrm[gguf]"'
            )
    return {"gguf_file": found.gguf.name}


def _network(
    model: Model, found: Files, sees: bool, device: torch.device, quantized: Mapping[str, Any]
) -> Any:
    """Load the weights; those a checkpoint lacks would be random, so it is refused."""
    kind: Any = (
        transformers.AutoModelForImageTextToText if sees else transformers.AutoModelForCausalLM
    )
    network, info = kind.from_pretrained(
        found.folder,
        dtype="auto" if model.dtype == "auto" else getattr(torch, model.dtype),
        use_safetensors=found.gguf is None,
        trust_remote_code=model.trust_remote_code,
        output_loading_info=True,
        **_gguf(found),
        **quantized,
    )
    missing = sorted(info["missing_keys"])
    if missing:
        raise EngineError(
            f"{found.gguf or found.folder}: the weights lack {len(missing)} tensors of the "
            f"architecture ({missing[0]}, ...), which would be random; save the whole model again"
        )
    if found.adapter is not None:
        network = with_adapter(network, found.adapter, merges(model, found))
    network = rounded(network, model, device)
    return (network if quantized else network.to(device)).eval()


def _generation(own: Any, tokenizer: Any, decoding: Decoding) -> tuple[Any, Set[int]]:
    """Return the settings of `generate`, which takes the largest score, and the end tokens."""
    ends = own.eos_token_id if own.eos_token_id is not None else tokenizer.eos_token_id
    if ends is None:
        ends = []
    ends = [ends] if isinstance(ends, int) else list(ends)
    kept = {key: value for key in KEPT if (value := getattr(own, key, None)) is not None}
    settings: Any = transformers.GenerationConfig
    generation = settings(
        **kept,
        do_sample=False,
        num_beams=1,
        max_new_tokens=decoding.max_new_tokens,
        pad_token_id=tokenizer.pad_token_id,
        eos_token_id=ends or None,
    )
    return generation, frozenset(ends)


def unwritten_of(tokenizer: Any, reasoning: Reasoning | None) -> Set[int]:
    """Return the special tokens, less those the reasoning markers are made of.

    Models differ in whether their markers are special tokens; a marker has to survive decoding.
    """
    added = tokenizer.added_tokens_decoder.items()
    special = {*tokenizer.all_special_ids, *(number for number, token in added if token.special)}
    marks = reasoning.model_dump(exclude={"prefilled"}).values() if reasoning else ()
    written = {
        token
        for mark in marks
        if mark
        for token in tokenizer.encode(mark, add_special_tokens=False)
    }
    return frozenset(special - written)
