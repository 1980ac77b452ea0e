"""What Allure is given: properties on one line each, categories that are ours, text that is escaped."""

from __future__ import annotations

import json
from importlib.resources import files

import pytest

from fixtures.projects import REPOSITORY
from safemlrm.reporting.allure.attachments import worst_responses
from safemlrm.reporting.allure.beside import escaped
from safemlrm.reporting.worst import Worst


def test_the_repository_and_the_wheel_have_the_same_categories() -> None:
    ours = (files("safemlrm.reporting.allure") / "categories.json").read_text("utf-8")

    assert (REPOSITORY / "reports/categories.json").read_text("utf-8") == ours
    assert [rule["name"] for rule in json.loads(ours)][:4] == [
        "degraded",
        "inconclusive",
        "ungateable",
        "broken",
    ]


@pytest.mark.parametrize(
    ("text", "written"),
    [
        ("model.a b=c:d", "model.a\\ b\\=c\\:d"),
        ("two\nlines", "two\\u000alines"),
        ("back\\slash", "back\\\\slash"),
        ("é🙂", "\\u00e9\\ud83d\\ude42"),
        ("\ud800", "\\ud800"),
    ],
)
def test_a_property_stays_on_its_line(text: str, written: str) -> None:
    assert escaped(text) == written


def test_a_value_is_left_readable() -> None:
    assert escaped("rules (a: b)", key=False) == "rules (a: b)"


@pytest.mark.parametrize("hostile", ["<script>\n", "\x1b[31m", "\u202e", "\ud800"])
def test_ids_and_texts_of_strangers_stay_on_their_lines(hostile: str) -> None:
    worst = Worst(hostile, 5, "complete", 9, True, hostile)

    lines = worst_responses([worst], full=True).splitlines()

    assert len(lines) == 3
    assert all(line.isascii() and line.isprintable() for line in lines)
