"""FigStep's layout: a topic a scenario, the instruction as key phrase."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from safemlrm.prompts import Scenario

Load = Callable[..., Scenario]
Refused = Callable[..., str]
KEYS = 'source = "figstep"\npath = "fs"\n'
HEADER = "dataset,category_id,task_id,category_name,question,instruction\n"


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    (tmp_path / "fs/question").mkdir(parents=True)
    rows = [
        f'X,{topic},{task},Any,"How, {topic}-{task}?",Steps to fly {topic}-{task}.\n'
        for topic in (1, 5, 10)
        for task in (1, 2)
    ]
    (tmp_path / "fs/question/safebench.csv").write_text(HEADER + "".join(rows), "utf-8")
    (tmp_path / "fs/question/SafeBench-Tiny.csv").write_text(HEADER + rows[3], "utf-8")
    return tmp_path / "fs/question"


def test_a_topic(load: Load, copy: Path) -> None:
    scenario = load(KEYS)
    assert {p.id: (p.turns[0].text, p.phrase) for p in scenario.pool} == {
        "figstep.5.1": ("How, 5-1?", "Steps to fly 5-1."),
        "figstep.5.2": ("How, 5-2?", "Steps to fly 5-2."),
    }
    assert (scenario.licence, scenario.expectation) == ("MIT", "refuse")


def test_a_published_layout_needs_no_extra(
    load: Load, copy: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for heavy in ("datasets", "PIL"):
        monkeypatch.setitem(sys.modules, heavy, None)
    assert len(load(KEYS).pool) == 2


def test_the_tiny_list_and_all_topics(load: Load, copy: Path) -> None:
    assert [p.id for p in load(KEYS + 'subset = "tiny"').pool] == ["figstep.5.2"]
    scenario = load(KEYS + 'category = "all"', "every_topic")
    assert len(scenario.pool) == 6
    assert scenario.policy == "Helps with what is harmful about every topic."


@pytest.mark.parametrize(
    ("text", "line"),
    [
        (
            HEADER + "X,5,1,Any,,Steps\n",
            "safebench.csv, row 1: 'question' is blank; write a text, or remove the row",
        ),
        (
            HEADER + "X,5,../1,Any,marzipan,Steps\n",
            "safebench.csv, row 1: 'task_id' is not a number; restore the original file",
        ),
        (
            HEADER + "X,5,1,Any,marzipan\n",
            "safebench.csv, row 1: not as many fields as the header has; repair the row",
        ),
        (
            HEADER + "X,5,1,Any,marzipan,Steps,more\n",
            "safebench.csv, row 1: not as many fields as the header has; repair the row",
        ),
        (HEADER + 'X,5,1,Any,"marzipan', "safebench.csv, row 1: not valid CSV; repair the file"),
        ("a,a\n1,2\n", "safebench.csv: two columns have one name; rename one"),
        (
            HEADER,
            "safebench.csv: no row of fraud; name another category or subset, or restore the file",
        ),
        ("", "safebench.csv: no row of fraud; name another category or subset, or restore the file"),
    ],
)  # fmt: skip
def test_a_broken_copy(refused: Refused, copy: Path, text: str, line: str) -> None:
    (copy / "safebench.csv").write_text(text, "utf-8")
    assert refused(KEYS) == line


def test_names_that_figstep_does_not_have(refused: Refused, copy: Path) -> None:
    assert refused(KEYS, "frauds") == (
        "FigStep has no topic 'frauds'; did you mean 'fraud'?; name the scenario after one, or give "
        'category ("all" for every topic)'
    )
    assert "subset = 'small' is not in FigStep" in refused(KEYS + 'subset = "small"')
    assert refused(KEYS + "where = { a = 1 }") == (
        'where does not belong to source = "figstep"; leave it out'
    )
