"""A decoding defence: what may change a model's choice of each next token, and how one is plugged in.

It sees the hidden state the choice is made from, and the scores decoding has left. It is code that runs
in the child process, so safety.toml and hooks name it by its place, "module:attribute". Whatever
lies there, its options and its weights are part of what the model is (no torch, nothing imported).
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from safemlrm.config import Defence, suggest
from safemlrm.engines.folder import embedded
from safemlrm.errors import ConfigError, EngineError

if TYPE_CHECKING:
    from torch import Tensor

BUILTIN: Mapping[str, str] = {"hazard": "safemlrm.engines.hazard:Hazard"}
"""The defences that are part of this package, by kind."""


class Rescorer(Protocol):
    """Rescores candidate tokens at every step of every response; what a place holds makes one.

    It is called as `place(network, tokenizer, weights, **options)` once a child, `weights` being the
    path that safety.toml names, or None.
    """

    def rescore(self, scores: Tensor, hidden: Tensor, ids: Tensor) -> Tensor:
        """Return new scores (rows x vocabulary, float32); what is -inf cannot be chosen.

        `hidden` (rows x width) is what the network's head read for these scores, `ids` (rows x
        tokens) the tokens so far, padded on the left. Each row is to depend on itself alone: rows
        come and go, and a response must not depend on its batch.
        """


class Placed(Defence):
    """A defence of safety.toml together with the place that a hook gave for its kind."""

    place: str


def place_of(defence: Defence) -> str:
    """Return "module:attribute" of a defence; `ConfigError` for a kind that nobody has."""
    if isinstance(defence, Placed):
        return defence.place
    if defence.kind not in BUILTIN:
        raise ConfigError(
            f"defence: {defence.kind!r} is not a defence{suggest(defence.kind, BUILTIN)}, or what "
            "pytest_safemlrm_defences of a conftest.py adds"
        )
    return BUILTIN[defence.kind]


def weights_of(defence: Defence, folder: Path) -> Path | None:
    """Return the file or folder of a defence's weights; relative paths start at that of safety.toml."""
    if defence.weights is None:
        return None
    place = embedded("defence weights", defence.weights, "hazard.safetensors")
    place = place or (folder / Path(defence.weights).expanduser())
    if not place.exists():
        raise EngineError(
            f'defence weights = "{defence.weights}": not there (looked for {place}); relative paths '
            "start at the folder of safety.toml"
        )
    return place.resolve()


def defence_digest(defence: Defence, folder: Path) -> str:
    """Digest everything that shapes what a defence does: its source, its options and its weights."""
    place, weights = place_of(defence), weights_of(defence, folder)
    said = {
        "place": place,
        "source": source_digest(place),
        "engine": _source("guarding.py"),
        "options": defence.options,
        "weights": None if weights is None else _contents(weights),
    }
    return hashlib.sha256(json.dumps(said, sort_keys=True).encode()).hexdigest()


def source_digest(place: str) -> str:
    """Digest the source of a place: its module, or all of the package it is in.

    Raises `ConfigError` when there is no such module; nothing is imported to find it.
    """
    module, _, attribute = place.partition(":")
    top = module.partition(".")[0]
    if place in BUILTIN.values():
        return _source(f"{module.rpartition('.')[2]}.py")
    # "__main__" is another program where the model runs.
    named = attribute and top not in ("", "__main__")
    try:
        spec = find_spec(top) if named else None
    except ValueError:  # a module that was made here and lies nowhere
        spec = None
    if spec is None:
        raise ConfigError(
            f'defence: no module {top!r} for {place!r}; expected "module:attribute" of one that can be '
            'imported, as with "pythonpath = ." in pytest.ini'
        )
    roots = [Path(place) for place in spec.submodule_search_locations or ()]
    found = roots or ([Path(spec.origin)] if spec.origin else [])
    text = json.dumps([_contents(root, "*.py") for root in found])
    return hashlib.sha256(text.encode()).hexdigest()


def build_defence(defence: Defence, folder: Path, network: Any, tokenizer: Any) -> Rescorer:
    """Import a defence and make it; `EngineError` says in one line what is wrong with it."""
    place = place_of(defence)
    module, _, attribute = place.partition(":")
    weights = weights_of(defence, folder)
    try:
        make = getattr(import_module(module), attribute)
        made: Rescorer = make(network, tokenizer, weights, **defence.options)
    except EngineError:
        raise
    except Exception as error:  # a user's code may raise anything
        lines = str(error).strip().splitlines() or ["no reason given"]
        raise EngineError(
            f"defence {defence.kind!r} ({place}) cannot be made: {type(error).__name__}: {lines[0]}"
        ) from error
    if not callable(getattr(made, "rescore", None)):
        raise EngineError(
            f"defence {defence.kind!r} ({place}) has no rescore(scores, hidden, ids); it returns the "
            "new scores"
        )
    return made


def _source(name: str) -> str:
    """Digest a module beside this one, whatever the line endings it was installed with."""
    text = Path(__file__).with_name(name).read_text("utf-8")
    return hashlib.sha256(text.encode()).hexdigest()


def _contents(root: Path, pattern: str = "*") -> list[tuple[str, str]]:
    """Return relative name and digest of a file, or of every file of a folder, sorted."""
    files = (
        sorted(path for path in root.rglob(pattern) if path.is_file()) if root.is_dir() else [root]
    )
    return [
        (path.relative_to(root).as_posix(), hashlib.sha256(path.read_bytes()).hexdigest())
        for path in files
    ]
