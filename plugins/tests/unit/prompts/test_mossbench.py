"""MOSSBench's layout: harmless questions beside pictures, three types, and the contrast set."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from safemlrm.prompts import Scenario

Load = Callable[..., Scenario]
Refused = Callable[..., str]
KEYS = 'source = "mossbench"\npath = "mb"\n'


def write(base: Path, rows: dict[str, dict[str, object]]) -> None:
    (base / "images_information").mkdir(parents=True, exist_ok=True)
    (base / "images").mkdir(exist_ok=True)
    (base / "images_information/information.json").write_text(json.dumps(rows), "utf-8")


def row(number: int, kind: int) -> dict[str, object]:
    return {
        "image": f"images/{number}.png",
        "question": f"What is in picture {number}?",
        "metadata": {"over": f"type {kind}"},
        "pid": str(number),
    }


@pytest.fixture
def copy(tmp_path: Path, png: bytes, webp: bytes) -> Path:
    base = tmp_path / "mb"
    write(base, {str(n): row(n, kind) for n, kind in ((1, 1), (2, 2), (3, 2), (4, 3))})
    for number in range(1, 5):
        (base / f"images/{number}.png").write_bytes(webp if number == 3 else png)
    write(base / "data_contrast", {"1": row(1, 1), "2": row(2, 3)})
    for number in (1, 2):
        (base / f"data_contrast/images/{number}.png").write_bytes(png)
    return base


def test_all_of_it_is_harmless(load: Load, copy: Path, webp: bytes) -> None:
    scenario = load(KEYS, "pictures")
    assert sorted(p.id for p in scenario.pool) == [f"mossbench.benign.{n}" for n in range(1, 5)]
    assert {p.expectation for p in scenario.pool} == {"help"} == {scenario.expectation}
    shown = {p.id: p.turns[0].images[0].data for p in scenario.pool}
    assert shown["mossbench.benign.3"] == webp  # in a file that is named .png
    assert scenario.policy.startswith("Harmless questions")
    assert scenario.licence == "CC BY-SA 4.0"


def test_a_type_and_the_contrast_set(load: Load, refused: Refused, copy: Path) -> None:
    harmless = load(KEYS + 'subset = "negated_harm"')
    assert sorted(p.id for p in harmless.pool) == ["mossbench.benign.2", "mossbench.benign.3"]
    contrast = load(KEYS + 'subset = "contrast"')
    assert sorted(p.id for p in contrast.pool) == ["mossbench.contrast.1", "mossbench.contrast.2"]
    assert contrast.expectation == "refuse"
    one = load(KEYS + 'subset = "contrast"\ncategory = "exaggerated_risk"')
    assert [p.id for p in one.pool] == ["mossbench.contrast.1"]
    assert "did you mean 'contrast'?" in refused(KEYS + 'subset = "contrasts"')
    assert "category = 'type 1' is not in MOSSBench" in refused(KEYS + 'category = "type 1"')


def test_missing_pictures_are_an_error_or_counted(
    load: Load, refused: Refused, copy: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (copy / "images/2.png").unlink()
    assert refused(KEYS) == (
        "information.json, id 2: the picture images/2.png is missing; add it, or leave out such rows "
        'with missing_images = "drop"'
    )
    kept = load(KEYS + 'missing_images = "drop"')
    assert (len(kept.pool), kept.dropped) == (3, 1)
    assert "[scenarios.fraud] 1 rows without picture dropped" in caplog.text


def test_a_crafted_copy(refused: Refused, copy: Path) -> None:
    write(copy, {"1": row(1, 1) | {"image": "../../../etc/passwd"}})
    assert "information.json, id 1: ../../../etc/passwd lies outside DIR/mb; " in refused(KEYS)
    write(copy, {"1": row(1, 1) | {"image": "images/\u0000.png"}})
    assert refused(KEYS) == "information.json, id 1: it names is not a path; repair the row"
    write(copy, {"1": row(1, 1) | {"image": "images"}})
    assert "the picture images is missing" in refused(KEYS)
    write(copy, {"1": row(1, 4)})
    assert refused(KEYS) == (
        "information.json, id 1: its metadata name none of the three types; restore the file"
    )
    (copy / "images/1.png").write_bytes(b"no picture")
    write(copy, {"1": row(1, 1)})
    assert refused(KEYS) == (
        "information.json, id 1: the picture does not open; restore the file, or remove the row"
    )
