"""Attacks: pure, seeded, versioned transforms of a prompt; one family a file."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from safemlrm.attacks.direct import Direct
from safemlrm.attacks.figstep import FigStep
from safemlrm.types import Attack

BUILTIN: Mapping[str, Callable[[], Attack]] = {"direct": Direct, "figstep": FigStep}

__all__ = ["BUILTIN", "Direct", "FigStep"]
