"""The mark of questions that somebody else attacked: an import cannot apply the attack again."""

from __future__ import annotations

from dataclasses import dataclass

from safemlrm.types import Prompt


@dataclass(frozen=True, slots=True)
class Imported:
    """Leave a prompt as it was imported; the name says which attack it had gone through."""

    name: str = "imported"

    @property
    def digest(self) -> str:
        """The name tells attacks apart, since nothing else of them is known here."""
        return f"imported/1/{self.name}"

    def apply(self, prompt: Prompt, seed: int) -> Prompt:
        """Return the prompt itself."""
        return prompt
