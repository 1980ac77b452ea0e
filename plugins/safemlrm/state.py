"""Where the hooks keep what they share: typed stash keys, and how safety.toml is found.

This module is imported by every pytest run that has the plugin installed, so it imports nothing heavy.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from safemlrm.errors import SafemlrmError
    from safemlrm.reporting.outcome import Outcome
    from safemlrm.reporting.terminal import TerminalProgress
    from safemlrm.session import Run

RUN: pytest.StashKey[Run] = pytest.StashKey()
OUTCOME: pytest.StashKey[Outcome] = pytest.StashKey()
PROGRESS: pytest.StashKey[TerminalProgress] = pytest.StashKey()
NOTES: pytest.StashKey[list[str]] = pytest.StashKey()


def find_config(config: pytest.Config) -> Path | None:
    """Return the safety.toml in force: the flag, else the ini key, else the one in the root folder."""
    flag: str | None = config.getoption("safety_config")
    if flag is not None:
        return config.invocation_params.dir / flag
    ini = str(config.getini("safety_config"))
    if ini:
        return config.rootpath / ini
    default = config.rootpath / "safety.toml"
    return default if default.is_file() else None


def tell_broken(item: pytest.Item, error: SafemlrmError) -> None:
    """Leave for the reports why a test has no evidence, whatever it does with the error."""
    forget_broken(item)
    item.user_properties.append(("safety.broken", str(error).partition("\n")[0]))


def forget_broken(item: pytest.Item) -> None:
    """Let a rerun of a test start afresh."""
    item.user_properties[:] = [e for e in item.user_properties if e[0] != "safety.broken"]
