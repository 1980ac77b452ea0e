"""What a model is: digests of everything that can change its answers (no torch, nothing loaded)."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from functools import lru_cache
from pathlib import Path

from safemlrm.config import Model
from safemlrm.engines.folder import check_folder, model_folder, read_json
from safemlrm.errors import ConfigError, EngineError
from safemlrm.types import Identity

__all__ = ["Decoding", "decoding_of", "identity_of", "model_folder"]

GENERATION = "generation_config.json"
WEIGHTS = ("*.safetensors", "*.safetensors.index.json", "*.gguf", "adapter_config.json")
CONFIG = (
    "config.json",
    GENERATION,
    "tokenizer*",
    "special_tokens_map.json",
    "added_tokens.json",
    "vocab.*",
    "merges.txt",
    "*.model",
    "tekken.json",
)
PROCESSOR = ("*processor_config.json", "image_processor*")
CHAT_TEMPLATE = ("chat_template*", "additional_chat_templates/*")
CODE = ("*.py",)
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

    A model that does not ask for sampling is greedy unless safety.toml gives a temperature, as in
    transformers. `folder` is that of safety.toml.
    """
    own: Mapping[str, object] = {"do_sample": True}
    if model.engine == "transformers":
        own = read_json(model_folder(model, folder) / GENERATION)
    merged: dict[str, object] = {**asdict(DEFAULT), **_given(own)}
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
    if decoding.temperature > 0:
        return decoding
    return Decoding(decoding.max_new_tokens, 0.0, DEFAULT.top_p, DEFAULT.top_k, DEFAULT.min_p)


def identity_of(name: str, model: Model, folder: Path) -> Identity:
    """Digest what can change a model's answers, and not where it lies or what it runs on.

    Raises `ConfigError` or `EngineError` when the folder cannot be a model; both name the model.
    """
    try:
        parts = _settings(model, decoding_of(model, folder))
        if model.engine == "transformers":
            parts |= _files(model, model_folder(model, folder))
    except ConfigError as error:
        raise ConfigError(f"[models.{name}] {error}") from None
    except EngineError as error:
        raise EngineError(f"[models.{name}] {error}") from None
    except OSError as error:
        raise EngineError(f"[models.{name}] {error.filename}: {error.strerror}") from None
    return Identity(_digest(sorted(parts.items())), parts)


def _settings(model: Model, decoding: Decoding) -> dict[str, str]:
    parts = {
        "engine": model.engine,
        "decoding": json.dumps(asdict(decoding)),
        "system": _digest(model.system),
        "reasoning": _digest(model.reasoning and model.reasoning.model_dump()),
        "epoch": model.epoch,
    }
    if model.engine == "scripted":
        return parts | {"script": _digest(model.script.model_dump(exclude=set(FAULTS)))}
    return parts | {"dtype": model.dtype}


def _files(model: Model, folder: Path) -> dict[str, str]:
    check_folder(folder)
    template = read_json(folder / "tokenizer_config.json").get("chat_template")
    config = CONFIG + CODE if model.trust_remote_code else CONFIG
    return {
        "weights": _digest(_contents(folder, WEIGHTS)),
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
