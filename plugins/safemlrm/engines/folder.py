"""Where a model's files lie: folders, GGUF files, organisms, the hub (no torch, nothing loaded)."""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import lru_cache
from importlib.resources import files
from pathlib import Path

from safemlrm.config import Model, suggest
from safemlrm.errors import ConfigError, EngineError

ORGANISM = "organism:"
GGUF = ".gguf"
HUB_FILES = ("*.json", "*.jinja", "*.txt", "*.model", "*.py", "*.tiktoken", "*.safetensors")
HUB_IGNORED = ["original/*", "onnx/*", "*/*.safetensors"]
# Parts of the keys a config.json has when a model may take pictures, or brings code that may.
SIGHT = ("vision", "visual", "image", "mm_", "auto_map")


@dataclass(frozen=True, slots=True)
class Files:
    """A model's folder; its weights when they are one GGUF file in there; the folder of its adapter."""

    folder: Path
    gguf: Path | None = None
    adapter: Path | None = None


def files_of(model: Model, folder: Path) -> Files:
    """Find what a model is made of; relative paths start at `folder`, that of safety.toml.

    "organism:NAME" is an embedded organism; "org/name" (for GGUF "org/name/file.gguf") without such
    a local path is fetched from the Hugging Face hub. Raises `ConfigError` or `EngineError` when
    something is not there.
    """
    if model.path is None:
        raise ConfigError('engine = "transformers" needs path = a folder, or an id of the hub')
    place = embedded("path", model.path, "config.json")
    place = place or _located("path", model.path, folder, model.revision)
    adapter = None
    if model.adapter is not None:
        adapter = embedded("adapter", model.adapter, "adapter_config.json")
        adapter = adapter or _located("adapter", model.adapter, folder, None)
        if adapter.is_file():
            raise EngineError(
                f'adapter = "{model.adapter}": {adapter} is a file; expected the folder it lies in'
            )
    if place.is_file():
        return Files(place.parent, place, adapter)
    return Files(place, _only_gguf(place), adapter)


def model_folder(model: Model, folder: Path) -> Path:
    """Return the folder of a model's files; see `files_of`."""
    return files_of(model, folder).folder


def pinned(model: Model, folder: Path) -> Model:
    """Return a model whose paths are those of `files_of`, so that what was identified is what is loaded."""
    found = files_of(model, folder)
    adapter = None if found.adapter is None else str(found.adapter)
    return model.model_copy(update={"path": str(found.gguf or found.folder), "adapter": adapter})


def reads_text_only(model: Model, folder: Path) -> bool:
    """Tell a model that surely takes no pictures by its files; False where only loading it would tell.

    `folder` is that of safety.toml.
    """
    if model.engine not in ("transformers", "vllm"):
        return False
    own = files_of(model, folder)
    if own.gguf is not None:  # a picture's tower is another file, which is not read
        return True
    if any(own.folder.glob("*processor_config.json")):
        return False
    keys = " ".join(read_json(own.folder / "config.json"))
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


def _located(key: str, path: str, folder: Path, revision: str | None) -> Path:
    """Return the folder or GGUF file that a key of safety.toml names."""
    local = folder / Path(path).expanduser()
    if local.is_dir() or (local.is_file() and local.suffix == GGUF):
        return local.resolve()
    if local.exists():
        raise EngineError(
            f'{key} = "{path}": {local} is a file; expected the folder save_pretrained wrote'
        )
    parts = path.split("/")
    known = len(parts) == 2 or (len(parts) == 3 and path.endswith(GGUF))
    if path.startswith((".", "/", "~")) or not known:
        raise EngineError(
            f'{key} = "{path}": no such folder (looked for {local}); relative paths start at '
            "the folder of safety.toml"
        )
    if len(parts) == 2:
        return _from_hub(key, path, revision, str(local), HUB_FILES)
    found = _from_hub(key, "/".join(parts[:2]), revision, str(local), (parts[2],))
    if not (found / parts[2]).is_file():
        raise EngineError(f'{key} = "{path}": the Hugging Face hub has no such file')
    return found / parts[2]


def _only_gguf(folder: Path) -> Path | None:
    """Return the GGUF file of a folder that holds no other weights; `EngineError` when it has several."""
    found = sorted(folder.glob(f"*{GGUF}"))
    if not found or any(folder.glob("*.safetensors")):
        return None
    if len(found) > 1:
        raise EngineError(
            f"{folder}: {len(found)} GGUF files ({found[0].name}, {found[1].name}, ...); name one "
            f'of them: path = ".../{found[0].name}"'
        )
    return found[0]


def embedded(key: str, path: str, holds: str) -> Path | None:
    """Return the folder of "organism:NAME", which holds a file of this name; None for other paths."""
    if not path.startswith(ORGANISM):
        return None
    name = path.removeprefix(ORGANISM)
    root = Path(str(files("safemlrm.organisms")))
    known = sorted(path.parent.name for path in root.glob(f"*/{holds}"))
    if name not in known:
        raise ConfigError(
            f'{key} = "{ORGANISM}{name}": there is no such organism{suggest(name, known)}; '
            f"embedded are: {', '.join(known) or 'none'}"
        )
    return root / name


@lru_cache(maxsize=64)
def _from_hub(
    key: str, repo: str, revision: str | None, local: str, patterns: tuple[str, ...]
) -> Path:
    try:
        from huggingface_hub import snapshot_download
        from huggingface_hub.errors import HfHubHTTPError, LocalEntryNotFoundError
        from huggingface_hub.utils.tqdm import disable_progress_bars
    except ImportError:
        raise EngineError(
            f'{key} = "{repo}": no such folder (looked for {local}), and the hub needs '
            'huggingface_hub: pip install "pytest-safemlrm[hf]"'
        ) from None
    disable_progress_bars()
    try:
        found = snapshot_download(
            repo, revision=revision, allow_patterns=list(patterns), ignore_patterns=HUB_IGNORED
        )
    except (HfHubHTTPError, LocalEntryNotFoundError, OSError, ValueError) as error:
        raise EngineError(
            f'{key} = "{repo}": no such folder (looked for {local}), and the Hugging Face hub '
            f"did not give it: {(str(error).strip() or type(error).__name__).splitlines()[0]}"
        ) from None
    return Path(found)
