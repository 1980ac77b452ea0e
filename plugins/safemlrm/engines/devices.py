"""Which devices a model runs on, found out without importing torch here."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from functools import lru_cache
from pathlib import Path

from safemlrm.config import Model
from safemlrm.errors import ConfigError

CPU = ("cpu",)
DRIVER_FILES = ("/dev/nvidiactl", "/dev/dxg", "/proc/driver/nvidia/version")
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
    if model.engine == "scripted" or not _has_driver():
        return CPU
    count = _cuda_count(os.environ.get("CUDA_VISIBLE_DEVICES"))
    return tuple(f"cuda:{index}" for index in range(count)) or CPU


def _has_driver() -> bool:
    if os.environ.get("CUDA_VISIBLE_DEVICES") in {"", "-1"}:
        return False
    return any(Path(file).exists() for file in DRIVER_FILES) or bool(shutil.which("nvidia-smi"))


@lru_cache(maxsize=8)
def _cuda_count(visible: str | None) -> int:
    """Ask a short-lived child how many devices torch sees; 0 when it cannot tell."""
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
