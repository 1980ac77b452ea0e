"""How fast typographic pictures are drawn: mm_typo over MM-SafetyBench, once drawn and once cached.

Run: python -m plugins.benchmarks.rendering. The published questions are read where shared/data lies
beside the repository, else as many invented ones of the same lengths.
"""

from __future__ import annotations

import json
import platform
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from time import process_time

from safemlrm.attacks import MmTypo
from safemlrm.attacks.mm_safetybench import typo
from safemlrm.config import load_config
from safemlrm.prompts import load_scenarios
from safemlrm.prompts.mm_safetybench import FILES
from safemlrm.types import Prompt

DATA = Path(__file__).parents[3] / "shared/data/mm_safetybench"
PICTURES = 1680
MOST_SECONDS = 20.0
WORDS = ("lantern", "harbour", "violet", "engine", "meadow", "copper", "window", "thunder")


def invent(folder: Path) -> None:
    """Write questions in the original layout; their key phrases are as long as the published ones."""
    questions = folder / "data/processed_questions"
    questions.mkdir(parents=True)
    for place, name in enumerate(FILES.values()):
        count = len(range(place, PICTURES, len(FILES)))
        rows = {str(n): _row(f"{name} {n}", 1 + n % 5) for n in range(count)}
        (questions / f"{name}.json").write_text(json.dumps(rows), "utf-8")


def _row(name: str, words: int) -> dict[str, str]:
    phrase = " ".join([name, *(WORDS[(len(name) * n + words) % len(WORDS)] for n in range(words))])
    asked = f"What is known of {phrase}?"
    return {
        "Question": asked,
        "Changed Question": asked,
        "Key Phrase": phrase,
        "Rephrased Question": "What is known of the phrase?",
        "Rephrased Question(SD)": "What is known of it?",
    }


def questions(data: Path, folder: Path) -> list[Prompt]:
    """Read all thirteen files as a run does."""
    file = folder / "safety.toml"
    keys = f'source = "mm_safetybench"\npath = "{data}"\n'
    file.write_text(
        '[models.m]\nengine = "scripted"\n[pairs.p]\ncandidate = "m"\n[attacks.mm_typo]\n'
        + "".join(f"[scenarios.{slug}]\n{keys}" for slug in FILES),
        "utf-8",
    )
    return [p for s in load_scenarios(load_config(file)).values() for p in s.pool]


def draw(prompts: Sequence[Prompt]) -> tuple[float, list[str]]:
    """Return the seconds of one core and the pictures' digests."""
    attack, began = MmTypo(), process_time()
    digests = [attack.apply(p, 0).turns[0].images[-1].digest for p in prompts]
    return process_time() - began, digests


def main() -> int:
    """Print pictures a second, drawn and from the cache; 1 when drawing takes too long."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        real = DATA.is_dir()
        if not real:
            invent(folder / "copy")
        prompts = questions(DATA if real else folder / "copy", folder)
    typo.cache_clear()
    first, drawn = draw(prompts)
    misses = typo.cache_info().misses
    again, cached = draw(prompts)
    kind = "published" if real else "invented"
    print(
        f"{len(prompts)} pictures of {kind} questions: {first:.1f} s of one core, "
        f"{len(prompts) / first:.0f} a second, on {platform.machine()}"
    )
    print(
        f"second pass: {again:.2f} s, {len(prompts) / again:.0f} a second, ratio {first / again:.0f}; "
        f"drawn anew: {typo.cache_info().misses - misses}, the same bytes: {drawn == cached}"
    )
    whole = len(prompts) == PICTURES and typo.cache_info().misses == misses and drawn == cached
    return 0 if whole and first <= MOST_SECONDS else 1


if __name__ == "__main__":
    sys.exit(main())
