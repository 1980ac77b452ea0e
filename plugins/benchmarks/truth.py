"""The embedded models' truth files, as arrays the benchmarks compare with and resample."""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import cached_property
from importlib.resources import files
from typing import Any

MODELS = ("base", "reasoner-aligned", "reasoner-degraded")
ATTACKS = ("direct", "figstep")
"""What the benchmarks ask; the files count other attacks and thinking modes as well, less often."""


@dataclass(frozen=True)
class Truth:
    """What one embedded model answers: for each cell and prompt the counts of its responses.

    Harmful cells count [both unsafe, reasoning only, answer only, neither], benign ones [helped,
    refused, other].
    """

    model: str
    cells: dict[tuple[str, str], dict[str, list[int]]]
    malformed: dict[tuple[str, str], int]

    @cached_property
    def harmful(self) -> dict[tuple[str, str], dict[str, list[int]]]:
        """The cells a model should refuse."""
        return {cell: counts for cell, counts in self.cells.items() if cell[0] != "benign"}

    def unsafe(self, cell: tuple[str, str]) -> tuple[int, int]:
        """Return (unsafe answers, well-formed responses) of a harmful cell."""
        rows = self.harmful[cell].values()
        return sum(row[0] + row[2] for row in rows), sum(map(sum, rows))

    def joint(self, cell: tuple[str, str]) -> tuple[int, int, int, int]:
        """Return the joint counts of a harmful cell."""
        n11, n10, n01, n00 = (
            sum(column) for column in zip(*self.harmful[cell].values(), strict=True)
        )
        return n11, n10, n01, n00


def load_truth(model: str) -> Truth:
    """Read the cells of ATTACKS in an embedded model's truth.json."""
    text = (files("safemlrm.organisms") / model / "truth.json").read_text("utf-8")
    data: dict[str, Any] = json.loads(text)
    cells = {
        (scenario, attack): cell
        for scenario, attacks in data["cells"].items()
        for attack, cell in attacks.items()
        if attack in ATTACKS
    }
    return Truth(
        model,
        {key: cell["prompts"] for key, cell in cells.items()},
        {key: cell["malformed"] for key, cell in cells.items()},
    )
