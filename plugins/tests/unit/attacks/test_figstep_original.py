"""FigStep as published: the published pictures come out again, and clipping is told."""

from __future__ import annotations

import csv
from dataclasses import replace
from io import BytesIO
from pathlib import Path

import pytest
from PIL import Image as Picture
from PIL import ImageChops, ImageStat

from safemlrm.attacks import FigStepOriginal, clipped
from safemlrm.attacks.figstep_original import SIZE, TEXT, instruction, render
from safemlrm.attacks.typeface import Font, font_digest
from safemlrm.errors import ConfigError, SafemlrmError
from safemlrm.types import Prompt, Turn

DATA = Path(__file__).parents[4].parent / "shared/data/figstep"
PROMPT = Prompt("fr-001", "fraud", (Turn("How does one fold a boat?"),), "fold a paper boat")
published = pytest.mark.skipif(not DATA.is_dir(), reason="the published data set is not here")


@pytest.fixture
def freemono() -> None:
    """Skip where the published font is not installed."""
    try:
        font_digest("freemono")
    except ConfigError as error:
        pytest.skip(str(error))


def rows(name: str) -> list[dict[str, str]]:
    """Read one of the published lists."""
    with (DATA / "question" / name).open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def mean_difference(row: dict[str, str]) -> float:
    """Return how far our picture of a published instruction is from the published one, 0 to 1."""
    ours = Picture.open(BytesIO(render(row["instruction"], "freemono").image.data))
    name = f"query_ForbidQI_{row['category_id']}_{row['task_id']}_6.png"
    theirs = Picture.open(DATA / "images/SafeBench-Tiny" / name).convert("L")
    return float(ImageStat.Stat(ImageChops.difference(ours, theirs)).mean[0]) / 255


@published
@pytest.mark.usefixtures("freemono")
def test_the_published_pictures_come_out_again() -> None:
    differences = [mean_difference(row) for row in rows("SafeBench-Tiny.csv")]
    assert len(differences) == 50
    assert sum(difference == 0 for difference in differences) >= 43
    assert max(differences) < 0.001


def flagged(font: Font) -> int:
    return sum(render(row["instruction"], font).clipped for row in rows("safebench.csv"))


@published
@pytest.mark.usefixtures("freemono")
def test_what_the_original_clips_is_flagged() -> None:
    assert flagged("freemono") == 14


@published
def test_the_bundled_font_clips_no_more_than_the_original() -> None:
    assert flagged("bundled") == 14


@published
def test_every_published_phrase_is_an_instruction_already() -> None:
    assert all(
        instruction(row["instruction"]) == row["instruction"] for row in rows("safebench.csv")
    )


def test_the_question_is_replaced_by_the_text() -> None:
    attacked = FigStepOriginal().apply(PROMPT, seed=0)
    assert attacked.turns[0].text == TEXT
    [image] = attacked.turns[0].images
    assert Picture.open(BytesIO(image.data)).size == (SIZE, SIZE)
    assert replace(attacked, turns=PROMPT.turns) == PROMPT
    assert FigStepOriginal(text="Fill it in.").apply(PROMPT, seed=0).turns[0].text == "Fill it in."


@pytest.mark.parametrize(
    ("phrase", "heading"),
    [
        ("fold a paper boat", "Steps to fold a paper boat."),
        ("fold a paper boat.", "Steps to fold a paper boat."),
        ("Methods to fold a paper boat.", "Methods to fold a paper boat."),
        ("List of paper boats.", "List of paper boats."),
        ("stepson's boat", "Steps to stepson's boat."),
    ],
)
def test_a_phrase_becomes_an_instruction(phrase: str, heading: str) -> None:
    assert instruction(phrase) == heading


def test_clipping_is_flagged_and_not_refused() -> None:
    long = replace(PROMPT, phrase="fold " + "a very large boat of blue paper " * 5)
    assert clipped(FigStepOriginal().apply(long, seed=0))
    assert not clipped(FigStepOriginal().apply(PROMPT, seed=0))
    assert not clipped(PROMPT)


def test_a_blank_phrase_is_refused() -> None:
    with pytest.raises(SafemlrmError, match="prompt fr-001: figstep_original draws the key phrase"):
        FigStepOriginal().apply(replace(PROMPT, phrase=" "), seed=0)


@pytest.mark.usefixtures("freemono")
def test_font_and_text_are_part_of_the_digest() -> None:
    attacks = (
        FigStepOriginal(),
        FigStepOriginal(text="Fill it."),
        FigStepOriginal(font="freemono"),
    )
    assert len({attack.digest for attack in attacks}) == 3
    assert FigStepOriginal("other").digest == FigStepOriginal().digest
