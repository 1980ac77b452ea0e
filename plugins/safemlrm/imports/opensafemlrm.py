"""OpenSafeMLRM's results: METHOD/MODEL/NN-Scenario.json, an entry a question or a histogram a channel.

Its scores: 1 to 5 by a rubric, 0 where a refusal word was found, -1 where nothing was scored.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

from safemlrm.config import suggest
from safemlrm.errors import ConfigError
from safemlrm.imports.items import Answered, Item, answered
from safemlrm.prompts.folder import read_json, read_json_rows
from safemlrm.prompts.mm_safetybench import FILES
from safemlrm.prompts.rows import Row, prompt_id, showable
from safemlrm.published import SCORES, Histogram
from safemlrm.types import Score

JUDGE = "opensafemlrm"
METHODS = {"baseline": "direct", "jailbreak_method": "mm_safetybench"}
"""Its folders: the changed question alone, and the rephrased one with its picture."""
SCENARIOS: Mapping[str, str] = {file: slug for slug, file in FILES.items()}
"""The names of its files, misspelt as they are, and what they stand for."""
CHANNELS = {
    "reasoning": "reasoning_score",
    "answer": "answer_score",
    "full": "full_response_score",
}


def models_of(folder: Path) -> list[str]:
    """Return the models a results folder has; `ConfigError` where it is none."""
    places = [folder / method for method in METHODS if (folder / method).is_dir()]
    if not places:
        raise ConfigError(
            f"{folder}: neither baseline/ nor jailbreak_method/ is in it; name the folder that holds "
            "them, evaluation_results/MM-SafetyBench or statistic_results"
        )
    return sorted({path.name for place in places for path in place.iterdir() if path.is_dir()})


def holds_histograms(folder: Path, model: str) -> bool:
    """Whether a model's files are score histograms; `ConfigError` where some are and some are not."""
    kinds = {_is_histogram(read_json(file)) for _, _, file in _files(folder, model)}
    if len(kinds) > 1:
        raise ConfigError(
            f"{folder}: {model} has entries a question and histograms side by side; keep one kind"
        )
    return kinds.pop()


def read_items(folder: Path, model: str) -> Answered:
    """Return a model's responses with their scores; `ConfigError` names the file and the entry."""
    items, strange = [], 0
    for attack, scenario, file in _files(folder, model):
        for row in read_json_rows(file):
            item, odd = _item(row, scenario, attack)
            items.append(item)
            strange += odd
    notes = [f"{strange} scores beyond -1 to 5 count as unscored"] if strange else []
    return answered(model, items, notes)


def read_histograms(folder: Path, model: str) -> list[Histogram]:
    """Return a model's histograms, one a method, scenario and channel."""
    found = []
    for attack, scenario, file in _files(folder, model):
        table = read_json(file)
        if not _is_histogram(table):
            raise ConfigError(f"{file}: expected {', '.join(CHANNELS.values())} with counts")
        assert isinstance(table, dict)
        for channel, key in CHANNELS.items():
            counts = [_count(table[key], str(score), file) for score in SCORES]
            missing = _count(table[key], "-1", file)
            found.append(Histogram(model, attack, scenario, channel, missing, tuple(counts)))
    return found


def _files(folder: Path, model: str) -> Iterator[tuple[str, str, Path]]:
    """Yield attack, scenario and file of a model; `ConfigError` for names that are not known."""
    models = models_of(folder)
    if model not in models:
        raise ConfigError(
            f"{folder}: there is no model {model!r}{suggest(model, showable(models))}"
        )
    for method, attack in METHODS.items():
        for file in sorted((folder / method / model).glob("*.json")):
            if file.stem not in SCENARIOS:
                raise ConfigError(
                    f"{file}: no scenario of this name{suggest(file.stem, SCENARIOS)}; rename the file"
                )
            yield attack, SCENARIOS[file.stem], file


def _is_histogram(table: object) -> bool:
    return (
        isinstance(table, dict)
        and set(CHANNELS.values()) <= table.keys()
        and all(isinstance(table[key], dict) for key in CHANNELS.values())
    )


def _count(counts: Mapping[str, object], score: str, file: Path) -> int:
    value = counts.get(score, 0)
    if not isinstance(value, int) or isinstance(value, bool) or value < 0:
        raise ConfigError(f"{file}: the count of score {score} is no number; restore the file")
    return value


def _item(row: Row, scenario: str, attack: str) -> tuple[Item, int]:
    """Read one entry; also return how many of its scores are none of the scale."""
    given = {channel: _score(row, key) for channel, key in CHANNELS.items()}
    known = {c: score if score in SCORES else None for c, score in given.items()}
    odd = sum(score not in SCORES and score != -1 for score in given.values())
    text = row.values.get("model_response")
    if text is not None and not isinstance(text, str):
        raise row.error("'model_response' is no text", "restore the original file")
    question = "original_prompt" if row.values.get("original_prompt") else "question"
    score = _scored(known["reasoning"], known["answer"], known["full"])
    number = prompt_id(scenario, row.key)
    # A scored response without its text was withheld by whoever published it, but it was given.
    return Item(scenario, attack, number, row.text(question), text or "", score=score), odd


def _score(row: Row, key: str) -> int:
    value = row.values.get(key)
    if value is None and key in row.values:
        return -1  # its judge gave up
    if not isinstance(value, int) or isinstance(value, bool):
        raise row.error(f"{key!r} is no whole number", "restore the original file")
    return value


def _scored(reasoning: int | None, answer: int | None, full: int | None) -> Score:
    """Return a score; a response without a trace is an answer as a whole, as everywhere here."""
    if reasoning is None and answer is None:
        answer = full
    path = "unscored" if full is None else "refusal word" if full == 0 else "rubric"
    return Score(reasoning, answer, full, True if full == 0 else None, None, f"{JUDGE} {path}")
