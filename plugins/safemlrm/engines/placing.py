"""What a worker on a Ray cluster is: which model on which device, and how its errors are told (no Ray)."""

from __future__ import annotations

from dataclasses import dataclass
from math import ceil
from pathlib import Path

from safemlrm.config import Model
from safemlrm.config.schema import Ray
from safemlrm.types import Identity


@dataclass(frozen=True, slots=True)
class OnCluster:
    """Load this model on workers of the cluster; they have to find the same `identity`."""

    name: str
    model: Model
    folder: Path
    ray: Ray
    identity: Identity
    device: str = "the Ray cluster"


@dataclass(frozen=True, slots=True)
class Lost:
    """A worker is gone; the text says which, why, and what happens to its work."""

    text: str


def gpus_of(model: Model, settings: Ray) -> float:
    """Return how many GPUs a worker takes: none to follow a script, `tensor_parallel` at least for vLLM."""
    if model.engine == "scripted" or settings.gpus == 0:
        return 0.0
    return (
        max(settings.gpus, float(model.tensor_parallel))
        if model.tensor_parallel > 1
        else settings.gpus
    )


def device_of(model: Model, settings: Ray) -> str:
    """Return a worker's device; Ray shows it only the GPUs it gave it, counted from 0."""
    gpus = gpus_of(model, settings)
    if gpus == 0:
        return "cpu"
    count = ceil(gpus) if model.engine == "vllm" else 1
    return "cuda:" + ",".join(str(index) for index in range(count))


def difference(here: Identity, there: Identity) -> str:
    """Say in what a model on a node is another one than here."""
    parts = sorted(
        name
        for name in here.parts.keys() | there.parts.keys()
        if here.parts.get(name) != there.parts.get(name)
    )
    versions = ""
    if "libraries" in parts:
        versions = f" (here {here.parts['libraries']}, there {there.parts.get('libraries')})"
    return (
        f"its model is not the one that was identified here: {', '.join(parts)} differ{versions}; "
        "give every node the same files and install the same versions there, then run again"
    )


def last_line(error: Exception) -> str:
    """Return the last line of a traceback that came from a node: what was raised there."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return " ".join(lines[-1:])[:300] or type(error).__name__


def first_line(error: Exception) -> str:
    """Return what Ray says in a line: its own lines after the first are for reading its logs."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return " ".join(lines[:1])[:300] or type(error).__name__
