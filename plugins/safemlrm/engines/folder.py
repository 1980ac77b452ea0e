"""Where a model's files lie, and whether they can be a model at all (no torch, nothing loaded)."""

from __future__ import annotations

import json
import struct
from functools import lru_cache
from importlib.resources import files
from pathlib import Path

from safemlrm.config import Model, suggest
from safemlrm.errors import ConfigError, EngineError

ORGANISM = "organism:"
INDEX = "model.safetensors.index.json"
PICKLES = ("*.bin", "*.pt", "*.pth", "*.ckpt")
HUB_FILES = ["*.json", "*.jinja", "*.txt", "*.model", "*.py", "*.tiktoken", "*.safetensors"]
# Parts of the keys a config.json has when a model may take pictures, or brings code that may.
SIGHT = ("vision", "visual", "image", "mm_", "auto_map")
HUB_IGNORED = ["original/*", "onnx/*", "*/*.safetensors"]


def model_folder(model: Model, folder: Path) -> Path:
    """Return the folder of a model's files; a relative path starts at `folder`, that of safety.toml.

    "organism:NAME" is an embedded organism; "org/name" without such a folder is fetched from the
    Hugging Face hub. Raises `ConfigError` or `EngineError` when there is no such folder.
    """
    if model.path is None:
        raise ConfigError('engine = "transformers" needs path = a folder, or an id of the hub')
    if model.path.startswith(ORGANISM):
        return _organism(model.path.removeprefix(ORGANISM))
    local = folder / Path(model.path).expanduser()
    if local.is_dir():
        return local.resolve()
    if local.exists():
        raise EngineError(
            f'path = "{model.path}": {local} is a file; expected the folder save_pretrained wrote'
        )
    if model.path.startswith((".", "/", "~")) or model.path.count("/") != 1:
        raise EngineError(
            f'path = "{model.path}": no such folder (looked for {local}); relative paths start at '
            "the folder of safety.toml"
        )
    return _from_hub(model.path, model.revision, str(local))


def check_folder(folder: Path) -> None:
    """Raise `EngineError` unless a folder holds a config and whole safetensors weights."""
    if not (folder / "config.json").is_file():
        adapter = (folder / "adapter_config.json").is_file()
        hint = (
            "it holds only an adapter: merge it into its base (merge_and_unload) and save that"
            if adapter
            else "expected the folder save_pretrained wrote"
        )
        raise EngineError(f"{folder}: no config.json; {hint}")
    read_json(folder / "config.json")
    weights = sorted(folder.glob("*.safetensors"))
    if not weights:
        raise EngineError(f"{folder}: {_no_weights(folder)}")
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


def reads_text_only(model: Model, folder: Path) -> bool:
    """Tell a model that surely takes no pictures by its files; False where only loading it would tell.

    `folder` is that of safety.toml.
    """
    if model.engine != "transformers":
        return False
    own = model_folder(model, folder)
    if any(own.glob("*processor_config.json")):
        return False
    keys = " ".join(read_json(own / "config.json"))
    return not any(word in keys for word in SIGHT)


def read_json(path: Path) -> dict[str, object]:
    """Return a JSON object, empty when the file does not exist; `EngineError` when it is broken."""
    try:
        data = json.loads(path.read_text("utf-8"))
    except FileNotFoundError:
        return {}
    except (OSError, ValueError) as error:
        raise EngineError(
            f"{path}: cannot be read as JSON: {error}; save the model again"
        ) from None
    if not isinstance(data, dict):
        raise EngineError(f"{path}: expected a JSON object, got {type(data).__name__}")
    return data


def _organism(name: str) -> Path:
    root = Path(str(files("safemlrm.organisms")))
    known = sorted(path.parent.name for path in root.glob("*/config.json"))
    if name not in known:
        raise ConfigError(
            f'path = "{ORGANISM}{name}": there is no such organism{suggest(name, known)}; '
            f"embedded are: {', '.join(known) or 'none'}"
        )
    return root / name


@lru_cache(maxsize=64)
def _from_hub(repo: str, revision: str | None, local: str) -> Path:
    try:
        from huggingface_hub import snapshot_download
        from huggingface_hub.errors import HfHubHTTPError, LocalEntryNotFoundError
        from huggingface_hub.utils.tqdm import disable_progress_bars
    except ImportError:
        raise EngineError(
            f'path = "{repo}": no such folder (looked for {local}), and the hub needs '
            'huggingface_hub: pip install "pytest-safemlrm[hf]"'
        ) from None
    disable_progress_bars()
    try:
        found = snapshot_download(
            repo, revision=revision, allow_patterns=HUB_FILES, ignore_patterns=HUB_IGNORED
        )
    except (HfHubHTTPError, LocalEntryNotFoundError, OSError, ValueError) as error:
        raise EngineError(
            f'path = "{repo}": no such folder (looked for {local}), and the Hugging Face hub '
            f"did not give it: {_first_line(error)}"
        ) from None
    return Path(found)


def _no_weights(folder: Path) -> str:
    if any(any(folder.glob(pattern)) for pattern in PICKLES):
        return (
            "the weights are pickled (.bin, .pt), which can run code when they are loaded; convert "
            "them to safetensors: model.save_pretrained(folder, safe_serialization=True)"
        )
    if any(folder.glob("*.gguf")):
        return (
            "the weights are GGUF; save them once as safetensors: "
            "from_pretrained(folder, gguf_file=...).save_pretrained(folder)"
        )
    return "no weights; expected *.safetensors beside config.json"


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
            f"{path}: not a whole safetensors file: {_first_line(error)}; copy or save it again"
        ) from None


def _first_line(error: Exception) -> str:
    return (str(error).strip() or type(error).__name__).splitlines()[0]
