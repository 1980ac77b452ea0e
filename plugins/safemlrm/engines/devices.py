"""Which devices a model runs on, found out without importing torch here."""

from __future__ import annotations

import os
import subprocess
import sys
from functools import lru_cache

from safemlrm.config import Model
from safemlrm.engines.gpus import visible_gpus
from safemlrm.errors import ConfigError

CPU = ("cpu",)
PROBE = "import torch; print(torch.cuda.device_count() if torch.cuda.is_available() else 0)"
PROBE_SECONDS = 180


def devices_of(model: Model) -> tuple[str, ...]:
    """Return one device a child: "auto" is every visible CUDA device, or the CPU.

    An explicit list is taken as it is; "cpu:0" and "cpu:1" are two children on the CPU.
    """
    if model.devices != "auto":
        if not model.devices:
            raise ConfigError('devices = []: expected "auto" or a list such as ["cuda:0"]')
        return model.devices
    if model.engine == "scripted" or not visible_gpus():
        return CPU
    count = _cuda_count(os.environ.get("CUDA_VISIBLE_DEVICES"))
    return tuple(f"cuda:{index}" for index in range(count)) or CPU


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
