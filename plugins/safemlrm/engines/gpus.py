"""The GPUs this process may use, read from the driver's own tool so that torch is not imported."""

from __future__ import annotations

import os
import shutil
import subprocess
from dataclasses import dataclass

QUERY = ["--query-gpu=index,uuid,name,memory.total", "--format=csv,noheader,nounits"]
TIMEOUT_SECONDS = 30


@dataclass(frozen=True, slots=True)
class Gpu:
    """One CUDA device: `device` as torch names it, `memory_gib` in all."""

    device: str
    name: str
    memory_gib: float


def visible_gpus() -> tuple[Gpu, ...]:
    """Return the GPUs CUDA_VISIBLE_DEVICES leaves, in its order; none without a driver."""
    tool = shutil.which("nvidia-smi")
    if tool is None:
        return ()
    try:
        done = subprocess.run(
            [tool, *QUERY], capture_output=True, text=True, timeout=TIMEOUT_SECONDS, check=True
        )
    except (OSError, subprocess.SubprocessError):
        return ()
    found = [
        [part.strip() for part in line.split(",")] for line in done.stdout.splitlines() if line
    ]
    chosen = _visible(found)
    return tuple(
        Gpu(f"cuda:{position}", name, float(memory) / 1024)
        for position, (_, _, name, memory) in enumerate(chosen)
    )


def _visible(found: list[list[str]]) -> list[list[str]]:
    """Keep what CUDA_VISIBLE_DEVICES names, by index or by (the start of) a uuid."""
    setting = os.environ.get("CUDA_VISIBLE_DEVICES")
    if setting is None:
        return found
    chosen = []
    for name in filter(None, (part.strip() for part in setting.split(","))):
        match = [row for row in found if row[0] == name or row[1].startswith(name)]
        if not match:
            break  # CUDA ignores everything after the first device it does not know
        chosen += match[:1]
    return chosen
