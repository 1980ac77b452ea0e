"""Whether a model's files can be a model at all: whole, of one kind, never pickled (no torch)."""

from __future__ import annotations

import json
import re
import struct
from pathlib import Path

from safemlrm.engines.folder import Files, read_json
from safemlrm.errors import EngineError

INDEX = "model.safetensors.index.json"
PICKLES = ("*.bin", "*.pt", "*.pth", "*.ckpt")
ADAPTER = "adapter_config.json"
ADAPTER_WEIGHTS = "adapter_model.safetensors"
PICKLED = (
    "the weights are pickled (.bin, .pt), which can run code when they are loaded; convert them to "
    "safetensors: model.save_pretrained(folder, safe_serialization=True)"
)
PART = re.compile(r"-\d{5}-of-\d{5}\.gguf$")


def check_files(found: Files) -> None:
    """Raise `EngineError` unless a model's files are whole and are what their place says."""
    if found.gguf is not None:
        _check_gguf(found.gguf)
    else:
        _check_folder(found.folder)
    if found.adapter is not None:
        _check_adapter(found.adapter)
        _check_template(found)


def _check_folder(folder: Path) -> None:
    """Raise `EngineError` unless a folder holds a config and whole safetensors weights."""
    if (folder / ADAPTER).is_file():
        trained_on = read_json(folder / ADAPTER).get("base_model_name_or_path")
        raise EngineError(
            f"{folder}: it holds an adapter ({ADAPTER}); name the model it was trained on as path"
            f"{f' (it says {trained_on})' if trained_on else ''}, and the adapter's own folder as "
            "adapter"
        )
    if not (folder / "config.json").is_file():
        raise EngineError(
            f"{folder}: no config.json; expected the folder save_pretrained wrote, or a .gguf file"
        )
    read_json(folder / "config.json")
    weights = sorted(folder.glob("*.safetensors"))
    if not weights:
        pickled = any(any(folder.glob(pattern)) for pattern in PICKLES)
        expected = "no weights; expected *.safetensors beside config.json"
        raise EngineError(f"{folder}: {PICKLED if pickled else expected}")
    if (folder / INDEX).is_file():
        listed = read_json(folder / INDEX).get("weight_map")
        shards = set(listed.values()) if isinstance(listed, dict) else set()
        absent = sorted(shards - {path.name for path in weights})
        if absent:
            raise EngineError(
                f"{folder}: {INDEX} lists {absent[0]}, which is missing "
                f"({len(absent)} of {len(shards)} shards are); copy the folder again"
            )
    for path in weights:
        _check_whole(path)


def _check_gguf(path: Path) -> None:
    if PART.search(path.name):
        raise EngineError(
            f"{path}: one part of a GGUF model that was split; join the parts first "
            "(llama-gguf-split --merge)"
        )
    try:
        with path.open("rb") as file:
            start = file.read(4)
    except OSError as error:
        raise EngineError(f"{path}: cannot be read: {error.strerror}") from None
    if start != b"GGUF":
        raise EngineError(f"{path}: not a GGUF file, by its first bytes; copy it again")


def _check_adapter(folder: Path) -> None:
    """Raise `EngineError` unless a folder holds the two files of a PEFT adapter."""
    if not (folder / ADAPTER).is_file():
        raise EngineError(
            f"{folder}: no {ADAPTER}; adapter expects the folder that save_pretrained of PEFT wrote"
        )
    read_json(folder / ADAPTER)
    if not (folder / ADAPTER_WEIGHTS).is_file():
        pickled = any(any(folder.glob(pattern)) for pattern in PICKLES)
        raise EngineError(f"{folder}: {PICKLED if pickled else f'no {ADAPTER_WEIGHTS}'}")
    _check_whole(folder / ADAPTER_WEIGHTS)


def _check_template(found: Files) -> None:
    """An adapter is asked in its model's words, so that other words saved with it would be ignored."""
    adapter = template_of(found.adapter) if found.adapter is not None else None
    own = template_of(found.folder)
    if adapter is not None and own is not None and adapter != own:
        raise EngineError(
            f"{found.adapter}: its chat template is not that of {found.folder}, which is the one "
            "that is used; copy it there, or remove it from the adapter's folder"
        )


def template_of(folder: Path) -> str | None:
    """Return the chat template a folder holds, None when there is none or when it holds several."""
    path = folder / "chat_template.jinja"
    if path.is_file():
        return path.read_text("utf-8").strip()
    for name in ("chat_template.json", "tokenizer_config.json"):
        template = read_json(folder / name).get("chat_template")
        if isinstance(template, str):
            return template.strip()
    return None


def _check_whole(path: Path) -> None:
    """Compare a file's size with what its header promises (8 bytes of length, then JSON)."""
    size = path.stat().st_size
    try:
        with path.open("rb") as file:
            (length,) = struct.unpack("<Q", file.read(8))
            if length > size - 8:
                raise ValueError("the header is longer than the file")
            header = json.loads(file.read(length))
        ends = [
            entry["data_offsets"][1] for name, entry in header.items() if name != "__metadata__"
        ]
        missing = 8 + length + max(ends, default=0) - size
        if missing > 0:
            raise ValueError(f"{missing} bytes are missing at its end")
    except OSError as error:
        raise EngineError(f"{path}: cannot be read: {error.strerror}") from None
    except (ValueError, struct.error, KeyError, TypeError, AttributeError) as error:
        raise EngineError(
            f"{path}: not a whole safetensors file: {(str(error) or type(error).__name__)}; copy "
            "or save it again"
        ) from None
