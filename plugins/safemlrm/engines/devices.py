"""Which devices a model runs on, found out without importing torch here."""

from __future__ import annotations

import os
import subprocess
import sys
from functools import lru_cache

from safemlrm.config import Model
from safemlrm.engines.gpus import visible_gpus
from safemlrm.errors import ConfigError, EngineError

CPU = ("cpu",)
PROBE = "import torch; print(torch.cuda.device_count() if torch.cuda.is_available() else 0)"
PROBE_SECONDS = 180


def devices_of(model: Model) -> tuple[str, ...]:
    """Return one device a child: "auto" is every visible CUDA device, or the CPU.

    An explicit list is taken as it is; "cpu:0" and "cpu:1" are two children on the CPU. A child of
    vLLM has `tensor_parallel` GPUs, written "cuda:0,1".
    """
    if model.devices != "auto":
        if not model.devices:
            raise ConfigError('devices = []: expected "auto" or a list such as ["cuda:0"]')
        return model.devices
    if model.engine in ("scripted", "imported") or not visible_gpus():
        return CPU
    count = _cuda_count(os.environ.get("CUDA_VISIBLE_DEVICES"))
    if not count:
        return CPU
    width = model.tensor_parallel
    if width > count:
        raise EngineError(f"tensor_parallel = {width}: this machine has {count} GPUs")
    starts = range(0, count - width + 1, width)
    return tuple("cuda:" + ",".join(str(first + step) for step in range(width)) for first in starts)


def see_only(device: str) -> None:
    """Let this process see the GPUs of its device alone, which are then numbered from 0.

    Has to be called before CUDA is used. vLLM takes the first GPUs it sees, whatever it is told.
    """
    if not device.startswith("cuda:"):
        return
    numbers = [int(number) for number in device.removeprefix("cuda:").split(",")]
    before = os.environ.get("CUDA_VISIBLE_DEVICES")
    names = None if before is None else [name.strip() for name in before.split(",")]
    if names is not None and max(numbers) >= len(names):
        raise EngineError(f'devices: "{device}", but CUDA_VISIBLE_DEVICES={before} leaves fewer')
    chosen = [str(number) if names is None else names[number] for number in numbers]
    os.environ["CUDA_VISIBLE_DEVICES"] = ",".join(chosen)


@lru_cache(maxsize=8)
def _cuda_count(visible: str | None) -> int:
    """Ask a short-lived child how many GPUs torch can use: none with a build for the CPU."""
    try:
        done = subprocess.run(
            [sys.executable, "-c", PROBE],
            capture_output=True,
            text=True,
            timeout=PROBE_SECONDS,
            check=True,
        )
        return int(done.stdout.split()[-1])
    except (OSError, subprocess.SubprocessError, ValueError, IndexError):
        return 0
