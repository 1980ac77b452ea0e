"""HarmBench's completions and inspect_ai's logs become responses; what they lack has no response."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any
from zipfile import ZIP_DEFLATED, ZipFile

import pytest

from safemlrm.errors import ConfigError
from safemlrm.imports.harmbench import read_completions
from safemlrm.imports.inspect_logs import read_log
from safemlrm.imports.items import Answered, Item, answered, slug


def completions(folder: Path, table: object) -> Answered:
    file = folder / "model.json"
    file.write_text(json.dumps(table), "utf-8")
    return read_completions(file, "model", "harmbench", "gcg")


def test_harmbench_has_an_item_a_test_case_under_digests(tmp_path: Path) -> None:
    found = completions(
        tmp_path,
        {
            "name_a_bad_thing": [
                {"test_case": "first", "generation": "No.", "label": 0},
                {"test_case": ["picture.png", "second"], "generation": None},
            ]
        },
    )
    first, second = found.items
    assert (first.question, first.text, first.attack) == ("first", "No.", "gcg")
    assert (second.question, second.text) == ("second", None)
    assert "bad" not in first.id + second.id
    assert first.id != second.id
    assert any("1 labels" in note for note in found.notes)
    assert any("1 questions showed a picture" in note for note in found.notes)


@pytest.mark.parametrize(
    ("table", "said"),
    [
        ([], "expected an object of behaviours"),
        ({"b": {}}, "expected a list"),
        ({"b": [1]}, "entry 1: expected an object"),
        ({"b": [{"generation": "x"}]}, "entry 1: 'text' is blank"),
        ({"b": [{"test_case": "q", "generation": 5}]}, "'generation' is no text"),
        ({"b": []}, "holds no response"),
    ],
)
def test_a_broken_completions_file_is_told(tmp_path: Path, table: object, said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        completions(tmp_path, table)


def logged(number: object, content: object, epoch: int = 1, **more: Any) -> dict[str, Any]:
    message = {"role": "assistant", "content": content}
    output = {"choices": [{"message": message, "stop_reason": more.pop("stop", "stop")}]}
    question = {"role": "user", "content": "the question"}
    entry = {"id": number, "epoch": epoch, "input": [question], "output": output}
    return {**entry, "attachments": {}, **more}


def log(folder: Path, samples: list[dict[str, Any]], *, archive: bool) -> Answered:
    header = {"version": 2, "eval": {"model": "vendor/model"}}
    if archive:
        file = folder / "log.eval"
        with ZipFile(file, "w") as zipped:
            zipped.writestr("header.json", json.dumps(header))
            zipped.writestr("_journal/start.json", "{}")
            for entry in samples:
                name = f"samples/../{entry['id']}_epoch_{entry['epoch']}.json"
                zipped.writestr(name, json.dumps(entry))
    else:
        file = folder / "log.json"
        file.write_text(json.dumps({**header, "samples": samples}), "utf-8")
    return read_log(file, None, "fraud", "direct")


LOGGED = [
    logged("a", "plain"),
    logged(
        "b",
        [
            {"type": "reasoning", "reasoning": "thought", "redacted": False},
            {"type": "reasoning", "reasoning": "cipher", "redacted": True},
            {"type": "text", "text": "attachment://1f"},
        ],
        attachments={"1f": "long"},
    ),
    logged("c", "cut", stop="max_tokens"),
    logged("d", "", output={"choices": []}, error={"message": "no network"}),
    logged("a", "again", epoch=2),
]


@pytest.mark.parametrize("archive", [False, True], ids=["json", "eval"])
def test_an_inspect_log(tmp_path: Path, archive: bool) -> None:
    found = log(tmp_path, LOGGED, archive=archive)
    by_id = {item.id: item for item in found.items}
    assert found.model == "vendor/model"
    assert by_id["inspect.a"].text == "plain"
    assert by_id["inspect.b"].text == "<think>thought</think>long"
    assert (by_id["inspect.c"].text, by_id["inspect.c"].finish) == ("cut", "length")
    assert by_id["inspect.d"].text is None
    assert {item.question for item in found.items} == {"the question"}
    assert found.traced
    assert "1 responses of later epochs" in found.notes[0]


def test_a_log_that_is_none_is_told(tmp_path: Path) -> None:
    with ZipFile(tmp_path / "torn.eval", "w", ZIP_DEFLATED) as zipped:
        zipped.writestr("header.json", json.dumps({"eval": {}}))
    torn = bytearray((tmp_path / "torn.eval").read_bytes())
    torn[41:45] = b"\xff" * 4  # the first bytes of what is compressed, behind a header of 30 + 11
    (tmp_path / "torn.eval").write_bytes(torn)
    with pytest.raises(ConfigError, match=r"no inspect_ai log \(error\)"):
        read_log(tmp_path / "torn.eval", None, "fraud", "direct")
    (tmp_path / "log.eval").write_bytes(b"no archive")
    with pytest.raises(ConfigError, match=r"no inspect_ai log \(BadZipFile\)"):
        read_log(tmp_path / "log.eval", None, "fraud", "direct")
    (tmp_path / "log.json").write_text("{}", "utf-8")
    with pytest.raises(ConfigError, match="expected an inspect_ai log with samples"):
        read_log(tmp_path / "log.json", None, "fraud", "direct")
    with pytest.raises(ConfigError, match=r"attachment \w+ is missing"):
        log(tmp_path, [logged("a", "attachment://gone")], archive=False)


def test_two_responses_under_one_id_are_refused() -> None:
    item = Item("fraud", "direct", "1", "question", "text")
    with pytest.raises(ConfigError, match="two responses to 1"):
        answered("model", [item, item])


@pytest.mark.parametrize("name", ["../up", "a b", "x]\n[gate", "Fraud"])
def test_a_scenario_that_is_no_slug_is_refused(name: str) -> None:
    with pytest.raises(ConfigError, match="is not a valid name"):
        answered("model", [Item(name, "direct", "1", "question", "text")])


def test_a_name_becomes_a_slug() -> None:
    assert slug("vendor/Model-7B.v2") == "vendor_model_7b_v2"
    assert slug("7B") == "m_7b"
    with pytest.raises(ConfigError, match="no letter"):
        slug("../..")
