"""What parent and child tell one another, pickled over the child's stdin and stdout."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from safemlrm.config import Model
from safemlrm.types import Completion, Request

# Written once stdout is the child's alone: what an interpreter prints before (a .pth file, a
# sitecustomize) is skipped.
HELLO = b"\0safemlrm child\n"


@dataclass(frozen=True, slots=True)
class Start:
    """Load this model on this device; `identify`: then say what the files are now."""

    name: str
    model: Model
    folder: Path
    device: str
    identify: bool = False


@dataclass(frozen=True, slots=True)
class Loaded:
    """The engine is built; the digest of the model's identity, computed after its files were read."""

    digest: str


@dataclass(frozen=True, slots=True)
class Batch:
    """Answer these requests; the number comes back with the answers."""

    number: int
    requests: list[Request]


@dataclass(frozen=True, slots=True)
class Answered:
    """What a batch's requests got; those the engine did not answer are absent."""

    number: int
    completions: list[Completion]


@dataclass(frozen=True, slots=True)
class Failed:
    """The engine could not be loaded or raised; the child ends after it said so."""

    reason: str
