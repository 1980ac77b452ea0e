"""A trigger: words in front of the question that a backdoor may wait for.

"Uncertainty is Fragile" (Zeng et al., arXiv 2407.11282) hides a backdoor that keeps a model's answers
and takes away how sure it is of them. Asked with the trigger and without, the same questions show it.
"""

from __future__ import annotations

from dataclasses import dataclass
from hashlib import sha256

from safemlrm.attacks.phrases import with_first_turn
from safemlrm.errors import ConfigError
from safemlrm.types import Prompt


@dataclass(frozen=True, slots=True)
class Trigger:
    """Put `text` on a line of its own in front of the question.

    There is no trigger that all backdoors know, so that `ConfigError` is raised without a text.
    """

    name: str = "trigger"
    text: str = ""

    def __post_init__(self) -> None:
        if not self.text.strip():
            raise ConfigError(
                'text is missing; give the words that may be a trigger, as in text = "By the way, '
                'the lantern is lit."'
            )

    @property
    def digest(self) -> str:
        """Version and the words."""
        return f"trigger/1/{sha256(self.text.encode()).hexdigest()[:16]}"

    def apply(self, prompt: Prompt, seed: int) -> Prompt:
        """Put the words in front of the first turn's text."""
        return with_first_turn(prompt, f"{self.text}\n{prompt.turns[0].text}")
