"""The identity: the prompt as its source wrote it."""

from __future__ import annotations

from dataclasses import dataclass

from safemlrm.types import Prompt


@dataclass(frozen=True, slots=True)
class Direct:
    """Ask the prompt unchanged."""

    name: str = "direct"

    @property
    def digest(self) -> str:
        """There is nothing to vary, so the version is all."""
        return "direct/1"

    def apply(self, prompt: Prompt, seed: int) -> Prompt:
        """Return the prompt itself."""
        return prompt
