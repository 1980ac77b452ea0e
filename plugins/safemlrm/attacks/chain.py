"""Several attacks as one: each reads what the one before it wrote."""

from __future__ import annotations

from dataclasses import dataclass
from functools import reduce
from hashlib import sha256

from safemlrm.types import Attack, Prompt


@dataclass(frozen=True, slots=True)
class Chain:
    """Apply the parts in order."""

    name: str
    parts: tuple[Attack, ...]

    @property
    def digest(self) -> str:
        """The parts' digests, in order."""
        content = "\n".join(part.digest for part in self.parts)
        return f"chain/1/{sha256(content.encode()).hexdigest()[:16]}"

    @property
    def clips(self) -> bool:
        """Whether a part's pictures may lose text at their edge."""
        return any(getattr(part, "clips", False) for part in self.parts)

    def apply(self, prompt: Prompt, seed: int) -> Prompt:
        """Return the prompt after the last part; each part raises what it raises alone."""
        return reduce(lambda attacked, part: part.apply(attacked, seed), self.parts, prompt)
