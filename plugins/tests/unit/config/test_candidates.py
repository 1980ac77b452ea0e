"""Weights by name: what of a candidate's table they replace, and what is said of those that cannot be."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from safemlrm.config import load_config, read_weights
from safemlrm.errors import ConfigError

TOML = """
[models.base]
path = "org/base"
[models.candidate]
path = "org/last"
revision = "v1"
engine = "vllm"
thinking = "zero"
reasoning = { open = "<r>", close = "</r>" }
max_new_tokens = 77
[pairs.r1]
base = "base"
candidate = "candidate"
[scenarios.fraud]
[attacks.direct]
[profiles.smoke.models.candidate]
path = "org/small"
revision = "v2"
max_new_tokens = 5
[profiles.dry.models.candidate]
engine = "scripted"
"""
LORA = TOML.replace('engine = "vllm"', 'adapter = "lora-1"')
SERVED = """
[models.candidate]
engine = "openai"
url = "http://127.0.0.1:1/v1"
model = "org/last"
epoch = "april"
[pairs.r1]
candidate = "candidate"
[scenarios.fraud]
[attacks.direct]
"""
TWO = f'{TOML}[models.other]\npath = "org/other"\n[pairs.r2]\nbase = "candidate"\ncandidate = "other"\n'


def models(
    folder: Path,
    *values: str,
    toml: str = TOML,
    profile: str | None = None,
    start: Path | None = None,
) -> dict[str, dict[str, Any]]:
    """Return what the tables of the models say with these values on the command line."""
    file = folder / "safety.toml"
    file.write_text(toml, "utf-8")
    weights = read_weights("--safety-model", values, start or folder)
    config = load_config(file, profile, weights=weights)
    return {name: m.model_dump(exclude_unset=True) for name, m in config.models.items()}


def complaint(folder: Path, *values: str, **more: Any) -> str:
    """Return the one line that a mistake is answered with."""
    with pytest.raises(ConfigError) as caught:
        models(folder, *values, **more)
    [line] = str(caught.value).splitlines()
    return line


def test_the_weights_are_replaced_and_nothing_else(tmp_path: Path) -> None:
    before = models(tmp_path)
    after = models(tmp_path, "candidate=org/next")
    assert after.pop("base") == before.pop("base")
    assert before["candidate"].pop("revision") == "v1"
    assert after["candidate"] == before["candidate"] | {"path": "org/next"}


@pytest.mark.parametrize(
    ("text", "path", "revision"),
    [
        ("org/next@v3", "org/next", "v3"),
        ("org/next@refs/pr/7", "org/next", "refs/pr/7"),
        ("org/next/file-q4.gguf@main", "org/next/file-q4.gguf", "main"),
        ("organism:reasoner-aligned", "organism:reasoner-aligned", None),
        ("organism:base@main", "organism:base@main", None),
        ("./ada@lab/last", "./ada@lab/last", None),
        ("ada@lab/last", "./ada@lab/last", None),
        ("/models/ada@lab/last", "/models/ada@lab/last", None),
        ("~/checkpoints/last", "~/checkpoints/last", None),
        ("checkpoint@900", "checkpoint@900", None),
    ],
)
def test_only_an_id_of_the_hub_has_a_revision(
    tmp_path: Path, text: str, path: str, revision: str | None
) -> None:
    found = models(tmp_path, f"candidate={text}")["candidate"]
    assert (found["path"], found.get("revision")) == (path.removeprefix("./"), revision)


def test_a_folder_that_is_there_is_no_id_with_a_revision(tmp_path: Path) -> None:
    (tmp_path / "runs/last@lab").mkdir(parents=True)
    assert models(tmp_path, "runs/last@lab")["candidate"]["path"] == "runs/last@lab"
    (tmp_path / "runs/best").mkdir()
    line = complaint(tmp_path, "runs/best@lab")
    assert line.endswith("runs/best lies here and has no revision; leave @lab out")


@pytest.mark.parametrize(
    ("text", "path"),
    [
        ("./last", "../checkpoints/last"),
        ("last", "../checkpoints/last"),
        ("../gate/last", "last"),
        ("../gate/runs/last/", "./runs/last"),
        ("./lr=1e-5/last", "../checkpoints/lr=1e-5/last"),
        ("runs/lr=1e-5", "../checkpoints/runs/lr=1e-5"),
        ("there/last", "../checkpoints/there/last"),
        ("there/gone", "there/gone"),
    ],
)
def test_a_path_starts_where_the_command_line_was_written(
    tmp_path: Path, text: str, path: str
) -> None:
    gate, start = tmp_path / "gate", tmp_path / "checkpoints"
    gate.mkdir()
    (start / "there/last").mkdir(parents=True)
    assert models(gate, text, start=start)["candidate"]["path"] == path


def test_one_folder_is_written_in_one_way(tmp_path: Path) -> None:
    texts = ("last", "./last", "./last/", str(tmp_path / "last"), "x/../last")
    assert {models(tmp_path, text)["candidate"]["path"] for text in texts} == {"last"}


def test_a_profile_does_not_undo_it(tmp_path: Path) -> None:
    found = models(tmp_path, "candidate=org/next", profile="smoke")["candidate"]
    assert (found["path"], found["max_new_tokens"]) == ("org/next", 5)
    assert "revision" not in found


def test_of_a_table_with_an_adapter_that_is_what_is_replaced(tmp_path: Path) -> None:
    before = models(tmp_path, toml=LORA)["candidate"]
    found = models(tmp_path, "candidate=lora-2", toml=LORA)["candidate"]
    assert found == before | {"adapter": "lora-2"}
    assert found["revision"] == "v1"  # of the model that it was trained on
    line = complaint(tmp_path, "org/lora@v2", toml=LORA)
    assert "the adapter of [models.candidate], and an adapter takes no revision" in line


def test_a_server_is_asked_for_another_name_whatever_signs_it_has(tmp_path: Path) -> None:
    for name in ("org/next@v3", "ft:org::7=x", "./next"):
        found = models(tmp_path, f"candidate={name}", toml=SERVED)["candidate"]
        assert (found["model"], found["epoch"]) == (name, "april")
        assert "path" not in found


def test_of_several_candidates_one_has_to_be_named(tmp_path: Path) -> None:
    line = complaint(tmp_path, "org/next", toml=TWO)
    assert "there are 2 candidates (candidate, other); write NAME=WEIGHTS" in line
    found = models(tmp_path, "other=org/a", "candidate=org/b", toml=TWO)
    assert (found["other"]["path"], found["candidate"]["path"]) == ("org/a", "org/b")


@pytest.mark.parametrize(
    ("values", "line"),
    [
        (["candidat=x"], "'candidat=x': there is no [models.candidat]; did you mean 'candidate'?"),
        (["Candidate=x"], "there is no [models.Candidate]; did you mean 'candidate'?"),
        (
            ["base=org/next"],
            "[models.base] is no pair's candidate, and a base or a judge is not replaced from the command "
            "line; write its table in safety.toml (candidates: candidate)",
        ),
        (["candidate="], "'candidate=': expected NAME=WEIGHTS, where WEIGHTS is a folder"),
        (["candidate= "], "expected NAME=WEIGHTS"),
        ([""], "'': expected NAME=WEIGHTS"),
        (["lr=1e-5/last"], "there is no [models.lr]; known: candidate"),
        (["=org/next"], "expected the name of a candidate before ="),
        (["candidate=org/next@"], "expected a revision after @"),
        (
            ["candidate=a", "candidate=a"],
            "[models.candidate] was given weights before; give them once",
        ),
        (["a", "candidate=b"], "'candidate=b': [models.candidate] was given weights before"),
    ],
)
def test_mistakes_are_one_line(tmp_path: Path, values: list[str], line: str) -> None:
    said = complaint(tmp_path, *values)
    assert said.startswith("--safety-model ")
    assert line in said


def test_what_has_no_weights_is_not_given_any(tmp_path: Path) -> None:
    line = complaint(tmp_path, "org/next", profile="dry")
    assert line.endswith(
        '[models.candidate] has engine = "scripted", which has no weights to replace'
    )


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        ('candidate = "candidate"\n', 'candidate = "gone"\n', "but there is no [models.gone]"),
        ("[models.candidate]\n", "[[models.candidate]]\n", "[models] candidate: expected a table"),
        ('candidate = "candidate"\n', "candidate = 1\n", "[pairs.r1] candidate"),
    ],
)
def test_what_is_no_table_is_told_of_as_ever(tmp_path: Path, old: str, new: str, told: str) -> None:
    toml = TOML.partition("[profiles")[0].replace(old, new)
    assert told in complaint(tmp_path, "org/next", toml=toml)
