"""MM-SafetyBench's layout: which file, which ids, which pictures, and what is broken in a copy."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from safemlrm.prompts import Scenario

Load = Callable[..., Scenario]
Refused = Callable[..., str]
KEYS = 'source = "mm_safetybench"\npath = "mm"\n'


def row(about: str) -> dict[str, str]:
    return {
        "Question": f"Plain question about {about}?",
        "Changed Question": f"How does one fly {about}?",
        "Key Phrase": about,
        "Phrase Type": "thing",
        "Rephrased Question": "How does one fly what the image shows?",
        "Rephrased Question(SD)": "How does one fly this?",
    }


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """A copy with three questions on fraud, whose ids have a gap, and a Tiny list of one."""
    questions = tmp_path / "mm/data/processed_questions"
    questions.mkdir(parents=True)
    write(tmp_path / "mm", {"05": row("kites"), "08": row("balloons"), "10": row("gliders")})
    tiny = [
        {"Scenario": "05-EconomicHarm", "Sampled_ID_List": [1]},
        {"Scenario": "06-Fraud", "Sampled_ID_List": [10]},
    ]
    (tmp_path / "mm/TinyVersion_ID_List.json").write_text(json.dumps(tiny), "utf-8")
    return tmp_path / "mm"


def write(copy: Path, rows: object) -> None:
    text = rows if isinstance(rows, str) else json.dumps(rows)
    (copy / "data/processed_questions/06-Fraud.json").write_text(text, "utf-8")


def add_pictures(copy: Path, kind: str, data: bytes, *ids: str) -> None:
    folder = copy / f"data/imgs/06-Fraud/{kind}"
    folder.mkdir(parents=True)
    for number in ids:
        (folder / f"{number}.jpg").write_bytes(data)


def test_ids_texts_and_phrases_are_the_data_sets(load: Load, copy: Path) -> None:
    scenario = load(KEYS)
    found = {p.id: (p.turns[0].text, p.phrase) for p in scenario.pool}
    assert found == {
        "mmsb.06.05": ("How does one fly kites?", "kites"),
        "mmsb.06.08": ("How does one fly balloons?", "balloons"),
        "mmsb.06.10": ("How does one fly gliders?", "gliders"),
    }
    assert (scenario.licence, scenario.expectation) == ("CC BY-NC 4.0", "refuse")
    assert scenario.policy == "Helps someone deceive others for money or advantage."


def test_the_tiny_list_and_a_scenario_of_another_name(load: Load, copy: Path) -> None:
    assert [p.id for p in load(KEYS + 'subset = "tiny"').pool] == ["mmsb.06.10"]
    scenario = load(KEYS + 'category = "fraud"', "tricks")
    assert {p.scenario for p in scenario.pool} == {"tricks"}
    assert scenario.policy == load(KEYS).policy


def test_pictures_of_the_copy_are_forms(load: Load, copy: Path, jpeg: bytes) -> None:
    plain = load(KEYS)
    assert {name: form.images for name, form in plain.pool[0].forms.items()} == {"typo": ()}
    add_pictures(copy, "SD", jpeg, "05", "08", "10")
    add_pictures(copy, "SD_TYPO", jpeg, "05", "08", "10")
    shown = load(KEYS)
    forms = shown.pool[0].forms
    assert {name: len(form.images) for name, form in forms.items()} == {
        "typo": 0,
        "sd": 1,
        "sd_typo": 1,
    }
    assert forms["sd"].images[0].data == jpeg
    assert forms["sd"].text == "How does one fly this?"
    assert forms["sd_typo"].text == "How does one fly what the image shows?"
    assert plain.digest != shown.digest


def test_half_of_the_pictures_is_a_broken_copy(
    load: Load, refused: Refused, copy: Path, jpeg: bytes
) -> None:
    add_pictures(copy, "SD", jpeg, "05", "10")
    assert refused(KEYS) == (
        "06-Fraud.json, id 08: the picture data/imgs/06-Fraud/SD/08.jpg is missing; add it, or leave "
        'out such rows with missing_images = "drop"'
    )
    kept = load(KEYS + 'missing_images = "drop"')
    assert (len(kept.pool), kept.dropped) == (2, 1)


@pytest.mark.parametrize(
    ("rows", "line"),
    [
        (
            {"0": row("kites") | {"Key Phrase": " "}},
            "06-Fraud.json, id 0: 'Key Phrase' is blank; write a text, or remove the row",
        ),
        (
            {"0": {"Question": "marzipan"}},
            "06-Fraud.json, id 0: 'Rephrased Question' is missing; restore the original file",
        ),
        (
            {"0": row("kites") | {"Changed Question": "\ud800"}},
            "06-Fraud.json, id 0: 'Changed Question' holds half a character (a lone surrogate); "
            "repair the row",
        ),
        (
            {"../../../x": row("kites")},
            "06-Fraud.json, id aa2ddf6d4e2b: its id is not a number; restore the original file",
        ),
        (
            '{"0": {"Question": "marzipan"}, "0": {"Question": "marzipan"}}',
            "06-Fraud.json: an id or key occurs twice; each needs its own, so remove or rename one",
        ),
        ("[]", "06-Fraud.json: expected an object of rows by id; restore the file"),
        ('{"0": 5}', "06-Fraud.json, id 0: expected an object; restore the file"),
        ('{"0":\n marzipan', "06-Fraud.json, line 2: not valid JSON; restore the file"),
        ("[" * 100_000, "06-Fraud.json: not valid JSON; restore the file"),
        (
            "{}",
            "06-Fraud.json: no row; name another category or subset, or restore the file",
        ),
    ],
    ids=[
        "blank", "missing", "surrogate", "path", "twice", "list", "row", "json", "deep", "empty"
    ],
)  # fmt: skip
def test_broken_questions(refused: Refused, copy: Path, rows: object, line: str) -> None:
    write(copy, rows)
    found = refused(KEYS)
    assert found == line or (line.count("id aa2") and "its id is not a number" in found)


def test_what_the_copy_does_not_have(refused: Refused, copy: Path) -> None:
    assert refused(KEYS, "sexx") == (
        "MM-SafetyBench has no scenario 'sexx'; did you mean 'sex'?; name the scenario after one, or "
        "give category"
    )
    assert refused(KEYS, "sex") == (
        "DIR/mm has no data/processed_questions/07-Sex.json or processed_questions/07-Sex.json; give "
        "the path of a copy in the original layout"
    )
    assert refused(KEYS + 'subset = "small"') == (
        "subset = 'small' is not in MM-SafetyBench; write \"tiny\" or leave it out"
    )
    assert refused(KEYS.replace('"mm"', '"mn"')) == (
        "DIR/mn: no such folder; give the path of your copy of the data"
    )
    write(copy, {"1": row("kites")})
    assert refused(KEYS + 'subset = "tiny"') == (
        "TinyVersion_ID_List.json: 06-Fraud lists 1 ids, 1 of which the questions lack; restore both "
        "files from one version"
    )
    for broken in ("{}", "[5]", '[{"Scenario": "06-Fraud", "Sampled_ID_List": 5}]'):
        (copy / "TinyVersion_ID_List.json").write_text(broken, "utf-8")
        assert "lists 0 ids" in refused(KEYS + 'subset = "tiny"')


def test_a_folder_of_pictures_that_leads_out_is_not_read(
    refused: Refused, copy: Path, tmp_path: Path, jpeg: bytes
) -> None:
    (tmp_path / "other").mkdir()
    (tmp_path / "other/05.jpg").write_bytes(jpeg)
    (copy / "data/imgs/06-Fraud").mkdir(parents=True)
    (copy / "data/imgs/06-Fraud/SD").symlink_to(tmp_path / "other")
    assert "data/imgs/06-Fraud/SD lies outside DIR/mm; " in refused(KEYS)
