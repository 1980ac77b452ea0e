"""The reference names every source, and its example is a valid safety.toml."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

from safemlrm.config import load_config
from safemlrm.prompts.behaviours import LAYOUTS
from safemlrm.prompts.sources import SOURCES

REFERENCE = (Path(__file__).parents[4] / "docs/reference.md").read_text("utf-8")
SECTION = REFERENCE.partition("## Data sets\n")[2].partition("\n## ")[0]


def test_every_source_and_subset_is_documented() -> None:
    assert [name for name in SOURCES if f'`"{name}"`' not in SECTION] == []
    subsets = [subset for layout in LAYOUTS.values() for subset in layout.parts]
    assert [subset for subset in subsets if f'`"{subset}"`' not in SECTION] == []


def test_the_example_is_valid(tmp_path: Path) -> None:
    example = re.findall(r"```toml\n(.*?)```", SECTION, re.DOTALL)[0]
    file = tmp_path / "safety.toml"
    file.write_text(
        '[models.m]\nengine = "scripted"\n[pairs.p]\ncandidate = "m"\n[attacks.direct]\n' + example,
        "utf-8",
    )
    sources = {table.source for table in load_config(file).scenarios.values()}
    # Nobody writes "imported" by hand: `safemlrm import` does.
    assert sources >= set(SOURCES) - {"bundled", "imported"}
    assert len(tomllib.loads(example)["scenarios"]) == len(sources)
