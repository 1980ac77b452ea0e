"""Refusals in languages other than English, from the patterns of languages.toml."""

from __future__ import annotations

import re
import tomllib
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

SOURCE = Path(__file__).with_name("languages.toml")
_WORDS = re.compile(r"[^\W\d_]+")
# Letters of scripts that no Latin text is written in, from Greek on.
_BEYOND_LATIN = re.compile(r"[\u0370-\u1cff\u2c00-\ud7ff]")
# A text tells its language by this share of foreign letters, or from this many words on.
FOREIGN_SHARE = 0.3
TELLING = 6
# English prose has more than this share of small words that no other language has.
ENGLISH_SHARE = 0.15
# How many characters of a text are looked at.
REACH = 800


@dataclass(frozen=True, slots=True)
class Language:
    """One language: how it refuses, turns from a refusal to the request, and joins its words."""

    name: str
    spaced: bool
    cues: frozenset[str]
    refusals: re.Pattern[str]
    turns: re.Pattern[str]
    small: frozenset[str]

    def refuses(self, sentence: str, words: frozenset[str]) -> bool:
        """Say whether a sentence refuses; the cues spare most texts the patterns."""
        cued = self.cues & words if self.spaced else [cue for cue in self.cues if cue in sentence]
        return bool(cued) and self.refusals.search(sentence) is not None


@lru_cache(maxsize=1)
def languages() -> tuple[Language, ...]:
    """Read the languages once."""
    read = tomllib.loads(SOURCE.read_text("utf-8"))
    return tuple(
        Language(
            name,
            entry.get("spaced", True),
            frozenset(entry["cues"]),
            re.compile("|".join(entry["refusals"])),
            re.compile("|".join(entry["turns"])),
            frozenset(entry.get("small", ())),
        )
        for name, entry in read.items()
    )


def refuses(sentence: str) -> bool:
    """Say whether a normalised sentence refuses in any of the languages."""
    words = frozenset(_WORDS.findall(sentence))
    if sentence.isascii() and words.isdisjoint(_cues()):
        return False
    return any(language.refuses(sentence, words) for language in languages())


def turns(text: str) -> bool:
    """Say whether a normalised text goes on with what was asked, in any of the languages."""
    return any(language.turns.search(text) for language in languages())


@lru_cache(maxsize=16)
def foreign(text: str, english: frozenset[str]) -> bool | None:
    """Say whether a normalised text is in another language; None where its words do not tell.

    `english` are the small words of English. Another language is one whose small words are the
    more frequent ones, or any that is not written in Latin letters.
    """
    start = text[:REACH]
    letters = sum(map(str.isalpha, start))
    if len(_BEYOND_LATIN.findall(start)) > FOREIGN_SHARE * letters:
        return True
    words = _WORDS.findall(start)
    if len(words) < TELLING:
        return None
    ours = [word for word in words if word in english]
    if sum(word not in _shared() for word in ours) > ENGLISH_SHARE * len(words):
        return False
    theirs = max(sum(word in language.small for word in words) for language in languages())
    return True if theirs > len(ours) else None


@lru_cache(maxsize=1)
def _cues() -> frozenset[str]:
    return frozenset().union(*(language.cues for language in languages()))


@lru_cache(maxsize=1)
def _shared() -> frozenset[str]:
    """Return the small words of all the languages, some of which ("a", "no") are English too."""
    return frozenset().union(*(language.small for language in languages()))
