"""OpenSafeMLRM's files are read as they are, and nothing of them counts for more than it says."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from safemlrm.errors import ConfigError
from safemlrm.imports.opensafemlrm import (
    METHODS,
    SCENARIOS,
    holds_histograms,
    models_of,
    read_histograms,
    read_items,
)
from safemlrm.types import Score

MODEL = "R1_Onevision_7B"
FILE = "01-Illegal_Activitiy"


def entry(
    reasoning: object, answer: object, full: object, text: object = "a text"
) -> dict[str, Any]:
    return {
        "question": "the question",
        "original_prompt": "the changed question",
        "model_response": text,
        "reasoning_score": reasoning,
        "answer_score": answer,
        "full_response_score": full,
    }


def write(folder: Path, content: object, method: str = "baseline", file: str = FILE) -> None:
    path = folder / method / MODEL / f"{file}.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(content), "utf-8")


def scores(folder: Path, entries: Mapping[str, object]) -> list[Score | None]:
    write(folder, entries)
    return [item.score for item in read_items(folder, MODEL).items]


def test_each_file_name_stands_for_a_scenario_however_it_is_spelt(tmp_path: Path) -> None:
    for method in METHODS:
        for file in SCENARIOS:
            write(tmp_path, {"1": entry(1, 1, 1)}, method, file)
    found = {(item.scenario, item.attack) for item in read_items(tmp_path, MODEL).items}
    assert found == {(s, a) for s in SCENARIOS.values() for a in ("direct", "mm_safetybench")}
    assert SCENARIOS["09-Privacy_Violence"] == "privacy_violation"
    assert models_of(tmp_path) == [MODEL]


def test_a_scored_entry(tmp_path: Path) -> None:
    [score] = scores(tmp_path, {"7": entry(5, 1, 2)})
    assert score == Score(5, 1, 2, None, None, "opensafemlrm rubric")
    [item] = read_items(tmp_path, MODEL).items
    assert (item.id, item.question) == ("illegal_activity.7", "the changed question")


def test_a_refusal_word_is_a_refusal_and_no_score_is_none(tmp_path: Path) -> None:
    refusal, silent, null = scores(
        tmp_path, {"1": entry(0, 0, 0), "2": entry(-1, -1, -1, ""), "3": entry(None, None, None)}
    )
    assert refusal == Score(0, 0, 0, True, None, "opensafemlrm refusal word")
    assert silent == null == Score(None, None, None, None, None, "opensafemlrm unscored")


def test_a_response_without_a_trace_is_an_answer_as_a_whole(tmp_path: Path) -> None:
    [score] = scores(tmp_path, {"1": entry(-1, -1, 4)})
    assert score is not None
    assert (score.reasoning, score.answer, score.full) == (None, 4, 4)


def test_a_score_beyond_its_scale_is_unscored_and_told(tmp_path: Path) -> None:
    write(tmp_path, {"1": entry(9, 1, 7)})
    found = read_items(tmp_path, MODEL)
    assert found.items[0].score == Score(None, 1, None, None, None, "opensafemlrm unscored")
    assert found.notes == ("2 scores beyond -1 to 5 count as unscored",)


@pytest.mark.parametrize("wrong", ["5", 2.5, True, [1]])
def test_a_score_that_is_no_number_is_an_error(tmp_path: Path, wrong: object) -> None:
    with pytest.raises(ConfigError, match=r"id 1: 'full_response_score' is no whole number"):
        scores(tmp_path, {"1": entry(1, 1, wrong)})


def test_errors_say_what_to_do_and_show_no_text(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="neither baseline/ nor jailbreak_method/"):
        models_of(tmp_path)
    write(tmp_path, {"1": entry(1, 1, 1)}, file="01-Illegal_Activity")
    with pytest.raises(ConfigError, match="did you mean '01-Illegal_Activitiy'"):
        read_items(tmp_path, MODEL)
    with pytest.raises(ConfigError, match="there is no model 'R1_Onevision'"):
        read_items(tmp_path, "R1_Onevision")


HISTOGRAM = {
    "reasoning_score": {"5": 1, "4": 0, "3": 2, "2": 0, "1": 0, "0": 6, "-1": 1},
    "answer_score": {"-1": 10},
    "full_response_score": {"5": 1, "4": 1, "3": 1, "2": 1, "1": 1, "0": 4, "-1": 1},
}


def test_histograms(tmp_path: Path) -> None:
    write(tmp_path, HISTOGRAM)
    assert holds_histograms(tmp_path, MODEL)
    reasoning, answer, full = read_histograms(tmp_path, MODEL)
    assert (full.counts, full.missing, full.n) == ((4, 1, 1, 1, 1, 1), 1, 10)
    assert (full.unsafe(3), full.asr(3).n) == (3, 9)
    assert (answer.scored, reasoning.unsafe(3)) == (0, 3)


def test_entries_and_histograms_side_by_side_are_refused(tmp_path: Path) -> None:
    write(tmp_path, HISTOGRAM)
    write(tmp_path, {"1": entry(1, 1, 1)}, "jailbreak_method")
    with pytest.raises(ConfigError, match="side by side"):
        holds_histograms(tmp_path, MODEL)
