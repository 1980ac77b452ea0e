"""What a model is: digests of everything that can change its answers (no torch, nothing loaded)."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from functools import lru_cache
from importlib.metadata import PackageNotFoundError, version
from importlib.resources import files
from pathlib import Path

from safemlrm.config import Model
from safemlrm.engines.defence import defence_digest
from safemlrm.engines.folder import Files, files_of, model_folder, read_json
from safemlrm.engines.quantization import check_quantize
from safemlrm.engines.weights import ADAPTER, ADAPTER_WEIGHTS, check_files
from safemlrm.errors import ConfigError, EngineError
from safemlrm.types import Identity

__all__ = ["Decoding", "decoding_of", "identity_of", "model_folder"]

GENERATION = "generation_config.json"
WEIGHTS = ("*.safetensors", "*.safetensors.index.json")
CONFIG = (
    "config.json",
    GENERATION,
    "tokenizer*",
    "special_tokens_map.json",
    "added_tokens.json",
    "vocab.*",
    "merges.txt",
    "*.model",
    "*.tiktoken",
    "tekken.json",
)
PROCESSOR = ("*processor_config.json", "image_processor*")
CHAT_TEMPLATE = ("chat_template*", "additional_chat_templates/*")
CODE = ("**/*.py",)
# What of this package shapes an answer: a mended engine must not find what a broken one was told.
SOURCES = {
    "transformers": (
        "adapter.py",
        "checkpoint.py",
        "images.py",
        "open_turn.py",
        "options.py",
        "processors.py",
        "quantization.py",
        "room.py",
        "sampling.py",
        "stepping.py",
        "thinking.py",
        "transformers.py",
    ),
    "vllm": (
        "checkpoint.py",
        "images.py",
        "open_turn.py",
        "processors.py",
        "thinking.py",
        "vllm.py",
    ),
    "openai": ("chat.py", "thinking.py"),
    "scripted": ("options.py", "scripted.py", "thinking.py"),
    "imported": (),
}
LIBRARIES = {
    "transformers": ("pillow", "torch", "transformers"),
    "vllm": ("pillow", "torch", "transformers", "vllm"),
}
# The top_k of transformers' own `generate(do_sample=True)` when nobody gives one.
TOP_K = 50
# What a generation_config.json may ask for and is not done here, with the values that ask nothing.
UNDONE: Mapping[str, tuple[object, ...]] = {
    "stop_strings": ([], None),
    "num_beams": (None, 1),
    "penalty_alpha": (None, 0),
    "guidance_scale": (None, 1),
    "encoder_repetition_penalty": (None, 1),
    "encoder_no_repeat_ngram_size": (None, 0),
    "watermarking_config": (None,),
    "token_healing": (None, False),
}
UNDONE_SAMPLING: Mapping[str, tuple[object, ...]] = {
    "typical_p": (None, 1),
    "epsilon_cutoff": (None, 0),
    "eta_cutoff": (None, 0),
    "top_h": (None,),
}
FAULTS = frozenset({"delay_ms", "die_after", "drop"})


@dataclass(frozen=True, slots=True)
class Decoding:
    """How tokens are chosen, all sources merged; temperature 0 is greedy, top_k 0 keeps all tokens."""

    max_new_tokens: int
    temperature: float
    top_p: float
    top_k: int
    min_p: float


DEFAULT = Decoding(max_new_tokens=1024, temperature=1.0, top_p=1.0, top_k=0, min_p=0.0)


def decoding_of(model: Model, folder: Path) -> Decoding:
    """Merge safety.toml over the model's generation_config.json over `DEFAULT`.

    A model that does not ask for sampling is greedy unless safety.toml gives a temperature, and one
    that samples without a top_k takes from 50 tokens, both as `generate` of transformers does.
    `max_length` counts the prompt too, so it is not read: `max_new_tokens` limits a response.
    `EngineError` names a setting of the model that is not done here. `folder` is that of safety.toml.
    """
    own: Mapping[str, object] = {"do_sample": True}
    merged = asdict(DEFAULT)
    if model.engine in LIBRARIES:
        own = read_json(model_folder(model, folder) / GENERATION)
        merged["top_k"] = TOP_K
    merged |= _given(own)
    if own.get("do_sample") is not True:
        merged["temperature"] = 0.0
    merged |= _given(model.model_dump())
    try:
        decoding = Decoding(
            max_new_tokens=int(str(merged["max_new_tokens"])),
            temperature=float(str(merged["temperature"])),
            top_p=float(str(merged["top_p"])),
            top_k=int(str(merged["top_k"])),
            min_p=float(str(merged["min_p"])),
        )
    except ValueError as error:
        raise EngineError(f"{GENERATION}: expected numbers: {error}") from None
    refuse_undone(own, UNDONE)
    if decoding.temperature > 0:
        refuse_undone(own, UNDONE_SAMPLING)
        return decoding
    return Decoding(decoding.max_new_tokens, 0.0, DEFAULT.top_p, DEFAULT.top_k, DEFAULT.min_p)


def identity_of(name: str, model: Model, folder: Path) -> Identity:
    """Digest what can change a model's answers, and not where it lies or what it runs on.

    Raises `ConfigError` or `EngineError` when the folder cannot be a model; both name the model.
    """
    try:
        parts = _settings(model, decoding_of(model, folder))
        if model.engine in LIBRARIES:
            parts |= _files(model, files_of(model, folder))
        if model.defence is not None:
            parts["defence"] = defence_digest(model.defence, folder)
    except ConfigError as error:
        raise ConfigError(f"[models.{name}] {error}") from None
    except EngineError as error:
        raise EngineError(f"[models.{name}] {error}") from None
    except OSError as error:
        raise EngineError(f"[models.{name}] {error.filename}: {error.strerror}") from None
    return Identity(_digest(sorted(parts.items())), parts)


def with_generation(identity: Identity, generation: int, served: str) -> Identity:
    """Add what is known of a model behind an address; `served` tells generations of two stores apart."""
    parts = {**identity.parts, "generation": str(generation), "served": served}
    return Identity(_digest(sorted(parts.items())), parts)


def refuse_undone(own: Mapping[str, object], undone: Mapping[str, tuple[object, ...]]) -> None:
    """Raise `EngineError` for a setting that would be dropped, and the answers be of another model."""
    for key, neutral in undone.items():
        value = own.get(key)
        if value not in neutral:
            raise EngineError(
                f"{GENERATION}: {key} = {json.dumps(value)} is not supported; remove it there (its "
                f"default is {json.dumps(neutral[-1])}) if the model may be measured without it"
            )


def _settings(model: Model, decoding: Decoding) -> dict[str, str]:
    parts = {
        "engine": model.engine,
        "decoding": json.dumps(asdict(decoding)),
        "system": _digest(model.system),
        "reasoning": _digest(model.reasoning and model.reasoning.model_dump()),
        "thinking": _thinking(model),
        "epoch": model.epoch,
        "code": _code(model.engine),
    }
    if model.engine == "scripted":
        return parts | {"script": _digest(model.script.model_dump(exclude=set(FAULTS)))}
    if model.engine == "imported":
        return parts | {"model": str(model.model)}
    if model.engine == "openai":
        addresses = sorted(url.name for url in model.url or ())
        return parts | {"model": str(model.model), "url": json.dumps(addresses)}
    return parts | {
        "dtype": model.dtype,
        "quantize": model.quantize or "",
        "libraries": _libraries(model),
    }


def _thinking(model: Model) -> str:
    return f"more/{model.thinking_rounds}" if model.thinking == "more" else model.thinking


def _code(engine: str) -> str:
    """Digest the sources of an engine, whatever the line endings they were installed with."""
    folder = files("safemlrm.engines")
    return _digest([folder.joinpath(name).read_text("utf-8") for name in SOURCES[engine]])


def _libraries(model: Model) -> str:
    """Return the versions of what computes an answer, less "+cpu": devices are no part of a model."""
    names = list(LIBRARIES[model.engine])
    names += ["peft"] if model.adapter is not None else []
    if model.quantize is not None:
        names.append("bitsandbytes" if model.quantize.startswith("bitsandbytes") else "torchao")
    return ", ".join(f"{name} {_version(name)}" for name in names)


def _version(library: str) -> str:
    try:
        return version(library).partition("+")[0]
    except PackageNotFoundError:
        return "absent"


def _files(model: Model, found: Files) -> dict[str, str]:
    """Digest a model's files; those beside a GGUF file are read by its tokenizer."""
    check_files(found)
    check_quantize(model, found)
    folder = found.folder
    template = read_json(folder / "tokenizer_config.json").get("chat_template")
    config = CONFIG + CODE if model.trust_remote_code else CONFIG
    weights = _contents(folder, WEIGHTS) if found.gguf is None else _file_digest(found.gguf)
    adapter = found.adapter and _contents(found.adapter, (ADAPTER, ADAPTER_WEIGHTS))
    return {
        "weights": _digest(weights),
        "adapter": _digest(adapter),
        "config": _digest(_contents(folder, config)),
        "processor": _digest(_contents(folder, PROCESSOR)),
        "chat_template": _digest([_contents(folder, CHAT_TEMPLATE), template]),
    }


def _contents(folder: Path, patterns: Iterable[str]) -> list[tuple[str, str]]:
    """Return relative name and digest of each matching file, sorted by name."""
    found = {path for pattern in patterns for path in folder.glob(pattern) if path.is_file()}
    return [(path.relative_to(folder).as_posix(), _file_digest(path)) for path in sorted(found)]


def _file_digest(path: Path) -> str:
    stat = path.stat()
    return _hash_file(path, stat.st_size, stat.st_mtime_ns, stat.st_ino)


@lru_cache(maxsize=4096)
def _hash_file(path: Path, size: int, mtime_ns: int, inode: int) -> str:
    """Hash a file once as long as its size, time and inode stay what they were."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _given(settings: Mapping[str, object]) -> dict[str, object]:
    names = asdict(DEFAULT)
    return {key: value for key, value in settings.items() if key in names and value is not None}


def _digest(value: object) -> str:
    text = json.dumps(value, sort_keys=True, ensure_ascii=True)
    return hashlib.sha256(text.encode()).hexdigest()
