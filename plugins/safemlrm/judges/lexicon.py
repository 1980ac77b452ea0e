"""Count the words of a text by what they signal, from the groups of lexicon.toml."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

SOURCE = Path(__file__).with_name("lexicon.toml")
WORD = re.compile(r"[^\W_]+(?:[-'][^\W_]+)*")


@dataclass(frozen=True, slots=True)
class Lexicon:
    """Groups of words and where each is counted; whole words and phrases, and beginnings of words."""

    groups: tuple[str, ...]
    at: Mapping[str, int]
    whole: Mapping[str, tuple[int, ...]]
    begins: Mapping[str, tuple[int, ...]]
    lengths: tuple[int, ...]
    leads: frozenset[str]

    def tally(self, words: list[str]) -> list[int]:
        """Return how often each group occurs in the words of one sentence."""
        counts = [0] * len(self.groups)
        last = len(words) - 1
        for at, word in enumerate(words):
            for group in signals(word):
                counts[group] += 1
            if word in self.leads and at < last:
                pair = f"{word} {words[at + 1]}"
                for group in self.whole.get(pair, ()):
                    counts[group] += 1
                if at + 1 < last:
                    for group in self.whole.get(f"{pair} {words[at + 2]}", ()):
                        counts[group] += 1
        return counts


@lru_cache(maxsize=1)
def lexicon() -> Lexicon:
    """Read the groups once; a process that judges nothing reads none."""
    groups: dict[str, list[str]] = tomllib.loads(SOURCE.read_text("utf-8"))
    whole: dict[str, list[int]] = {}
    begins: dict[str, list[int]] = {}
    for index, entries in enumerate(groups.values()):
        for entry in entries:
            table = begins if entry.endswith("*") else whole
            table.setdefault(entry.rstrip("*"), []).append(index)
    return Lexicon(
        tuple(groups),
        {name: index for index, name in enumerate(groups)},
        {entry: tuple(found) for entry, found in whole.items()},
        {entry: tuple(found) for entry, found in begins.items()},
        tuple(sorted({len(entry) for entry in begins})),
        frozenset(entry.split()[0] for entry in whole if " " in entry),
    )


@lru_cache(maxsize=1 << 16)
def signals(word: str) -> tuple[int, ...]:
    """Return the groups that one word belongs to; a word that is listed twice in a group counts once."""
    table = lexicon()
    found = set(table.whole.get(word, ()))
    for length in table.lengths:
        if length > len(word):
            break
        found.update(table.begins.get(word[:length], ()))
    return tuple(sorted(found))
