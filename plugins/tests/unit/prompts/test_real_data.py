"""The published data sets as they are, where the machine has them; no text of theirs is shown here."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from safemlrm.prompts import Scenario
from safemlrm.prompts.figstep import TOPICS
from safemlrm.prompts.mm_safetybench import FILES
from safemlrm.prompts.mossbench import TYPES

DATA = Path(__file__).parents[5] / "shared/data"
Load = Callable[..., Scenario]
Refused = Callable[..., str]


def of(name: str) -> str:
    if not (DATA / name).is_dir():
        pytest.skip(f"{name} is not on this machine")
    return f'source = "{name}"\npath = "{DATA / name}"\n'


def test_mm_safetybench_is_whole(load: Load) -> None:
    keys = of("mm_safetybench")
    whole = {slug: load(keys, slug).pool for slug in FILES}
    tiny = {slug: load(keys + 'subset = "tiny"', slug).pool for slug in FILES}
    assert sum(map(len, whole.values())) == 1680
    assert sum(map(len, tiny.values())) == 168
    ids = {p.id for pool in whole.values() for p in pool}
    assert len(ids) == 1680
    lists = json.loads((DATA / "mm_safetybench/TinyVersion_ID_List.json").read_text("utf-8"))
    listed = {
        f"mmsb.{entry['Scenario'][:2]}.{number}"
        for entry in lists
        for number in entry["Sampled_ID_List"]
    }
    assert {p.id for pool in tiny.values() for p in pool} == listed <= ids
    assert "mmsb.05.66" not in ids  # a gap of the data set stays one
    assert all(p.phrase and p.forms["typo"].text for pool in whole.values() for p in pool)


def test_figstep_is_whole(load: Load) -> None:
    keys = of("figstep")
    whole = {slug: {p.id: p.turns for p in load(keys, slug).pool} for slug in TOPICS}
    tiny = {
        slug: {p.id: p.turns for p in load(keys + 'subset = "tiny"', slug).pool} for slug in TOPICS
    }
    assert [len(pool) for pool in whole.values()] == [50] * 10
    assert [len(pool) for pool in tiny.values()] == [5] * 10
    assert all(tiny[slug].items() <= whole[slug].items() for slug in TOPICS)
    assert len(load(keys + 'category = "all"', "every").pool) == 500


def test_mossbench_with_the_pictures_there_are(load: Load, refused: Refused) -> None:
    keys = of("mossbench")
    pictures = {file.stem: file.read_bytes() for file in (DATA / "mossbench/images").iterdir()}
    if len(pictures) < 300:
        line = refused(keys, "pictures")
        assert 'is missing; add it, or leave out such rows with missing_images = "drop"' in line
    keys += 'missing_images = "drop"\n'
    scenario = load(keys, "pictures")
    assert (len(scenario.pool), scenario.dropped) == (len(pictures), 300 - len(pictures))
    shown = {p.id.rpartition(".")[2]: p.turns[0].images[0].data for p in scenario.pool}
    assert shown == pictures
    assert any(data[:4] == b"RIFF" for data in shown.values())  # WebP in files named .png
    counts = [load(f'{keys}subset = "{kind}"', "pictures") for kind in TYPES]
    assert sum(len(s.pool) for s in counts) == len(pictures)
    assert [len(s.pool) + s.dropped for s in counts] == [100] * 3
