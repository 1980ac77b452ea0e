"""`safemlrm store`: what is in a store, export, prune, and merging what two machines measured."""

from __future__ import annotations

import shutil
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from fixtures.projects import PROMPTS, Folder, Project, safety_toml
from safemlrm.cli import main
from safemlrm.responses.store import Store
from safemlrm.types import Completion, Identity

TOML = safety_toml(
    candidate='by_cell = { "fraud/figstep" = 1.0 }',
    base="unsafe = 0.0",
    limits="asr = 0.25\nreasoning_tax = 0.25",
    more="[profiles.smoke.scenarios.fraud]\nprompts = 20",
)
CELLS = 8
ALL = CELLS * PROMPTS


def call(*arguments: str | Path, answer: str = "") -> Result:
    return CliRunner().invoke(main, [*map(str, arguments)], input=answer)


def refused(done: Result, text: str) -> None:
    """A mistake is one line."""
    assert done.exit_code == 1, done.output
    assert done.output.startswith("Error: ")
    assert text in done.output
    assert len(done.output.splitlines()) == 1


@pytest.fixture
def measured(project: Project, monkeypatch: pytest.MonkeyPatch) -> Project:
    """A project whose every cell was measured; commands run in its folder."""
    project.write(TOML)
    monkeypatch.chdir(project.path)
    assert call("measure").exit_code == 0
    assert project.completions == ALL
    return project


# -- inspect


def test_inspect_counts_and_shows_no_response(measured: Project) -> None:
    done = call("store", "inspect")
    assert done.exit_code == 0, done.output
    for expected in (
        f"responses: {ALL} (stop {ALL})",
        f"  base: {ALL // 2}",
        f"cells: {CELLS}, 0 asked prompts without a response",
        f"(rules of base, candidate): {ALL}, 0 without a verdict; traces absent {ALL}",
        "orphans: 0 responses of no cell, 0 scores of no response",
    ):
        assert expected in done.output
    said = done.output.lower()
    assert not [text for text in measured.texts if text.lower() in said]
    assert "sure, here" not in said


def test_inspect_tells_what_is_missing_and_what_is_left_over(measured: Project) -> None:
    measured.query("delete from completion where key = (select min(key) from completion)")
    measured.query("delete from cell where key = (select max(key) from completion)")
    done = call("store", "inspect")
    assert "1 asked prompts without a response" in done.output
    assert "orphans: 1 responses of no cell, 1 scores of no response" in done.output


def test_inspect_a_file_elsewhere_without_a_configuration(
    measured: Project, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = tmp_path / "elsewhere"
    other.mkdir()
    shutil.copy(measured.store, other / "copy.db")
    monkeypatch.chdir(other)
    done = call("store", "inspect", "copy.db")
    assert done.exit_code == 0, done.output
    assert f"responses: {ALL}" in done.output
    assert "(not of this configuration)" in done.output


# -- export


def test_export_has_a_row_a_response_and_no_text(measured: Project) -> None:
    parquet = pytest.importorskip("pyarrow.parquet")
    done = call("store", "export", "--to", "out/all.parquet")
    assert done.exit_code == 0, done.output
    table = parquet.read_table(measured.path / "out/all.parquet").to_pylist()
    assert len(table) == ALL
    assert "text" not in table[0]
    failing = [r for r in table if (r["model"], r["attack"]) == ("candidate", "figstep")]
    unsafe = {row["scenario"]: row["score_answer"] >= 3 for row in failing}
    assert unsafe == {"fraud": True, "sex": False}
    assert {row["position"] for row in failing} == set(range(PROMPTS))
    assert {(row["ask"], row["finish"], row["state"]) for row in table} == {
        ("first", "stop", "absent")
    }
    assert {type(row["refused"]) for row in table} == {bool}
    assert [path.name for path in (measured.path / "out").iterdir()] == ["all.parquet"]


def test_export_writes_texts_where_they_are_asked_for(measured: Project) -> None:
    parquet = pytest.importorskip("pyarrow.parquet")
    call("store", "export", "--to", "all.parquet", "--full")
    texts = parquet.read_table(measured.path / "all.parquet").column("text").to_pylist()
    assert set(texts) == measured.texts


def test_export_says_how_to_get_pyarrow(measured: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    done = call("store", "export", "--to", "all.parquet")
    refused(done, 'pip install "pytest-safemlrm[parquet]"')


def test_export_never_writes_over_the_store_or_where_it_cannot(measured: Project) -> None:
    pytest.importorskip("pyarrow")
    refused(call("store", "export", "--to", measured.store), "this is the store itself")
    (measured.path / "taken").write_text("a file", "utf-8")
    refused(call("store", "export", "--to", "taken/all.parquet"), "could not be written")
    assert measured.completions == ALL


# -- prune


def test_prune_leaves_what_the_configuration_and_its_profiles_read(measured: Project) -> None:
    done = call("store", "prune", "--yes")
    assert done.exit_code == 0
    assert f"nothing to drop; {ALL} responses are referred to" in done.output


def test_prune_drops_what_nothing_refers_to_and_a_replay_decides_the_same(
    measured: Project,
) -> None:
    measured.run("--safety-replay")
    before = measured.decisions
    with Store(measured.store) as store:
        store.index([("gone", 0, "x", "old")])
        store.add("gone", [("x", Completion("old", "No. " * 10_000, "stop", 1, 1))], "rules", [])
        store.set_identity("run 1", "gone", "{}", Identity("d"))
    size = measured.store.stat().st_size

    dry = call("store", "prune", "--dry-run")
    assert "1 responses, 0 scores, 1 places in cells and 1 looks at models" in dry.output
    refused_by_hand = call("store", "prune", answer="n\n")
    assert refused_by_hand.exit_code == 1
    assert measured.completions == ALL + 1

    done = call("store", "prune", answer="y\n")
    assert done.exit_code == 0, done.output
    assert measured.completions == ALL
    assert measured.store.stat().st_size < size
    measured.run("--safety-replay")
    assert measured.decisions == before


def test_prune_keeps_so_many_versions_of_a_model(measured: Project) -> None:
    """A night's checkpoint is another version under the same settings."""
    for number in range(3):
        with Store(measured.store) as store:
            last = [s for s in store.identities() if s.model == "candidate"][-1]
            version = Identity(f"version {number}", last.identity.parts)
            store.set_identity(f"run {number}", "candidate", last.settings, version)
    call("store", "prune", "--yes", "--keep", "2")
    with Store(measured.store, read_only=True) as store:
        kept = [s.identity.digest for s in store.identities() if s.model == "candidate"]
    assert kept == ["version 1", "version 2"]
    assert measured.completions == ALL // 2  # what the first version answered is gone


def test_prune_leaves_a_store_alone_that_a_run_measures_into(measured: Project) -> None:
    measured.query("delete from cell")
    with Store(measured.store) as store, store.lock(lambda: None):
        refused(call("store", "prune", "--yes"), "a run is measuring into it")
    assert measured.completions == ALL


def test_prune_needs_every_profile_to_be_right(measured: Project) -> None:
    """A profile that cannot be read may refer to anything."""
    measured.edit("prompts = 20\n[attacks", "prompts = 20\n[profiles.bad]\nx = 1\n[attacks")
    done = call("store", "prune", "--yes")
    assert done.exit_code == 1
    assert measured.completions == ALL


# -- merge


def halves(folder: Path) -> list[Folder]:
    """Three projects of one safety.toml: two that measured a scenario each, and one that did not."""
    found = []
    for name, selection in (("one", "fraud"), ("two", "sex"), ("desk", "")):
        (folder / name).mkdir()
        made = Folder(folder / name)
        made.write(TOML)
        if selection:
            run(made, "-m", selection)
            assert made.completions == ALL // 2
        found.append(made)
    return found


def run(folder: Folder, *arguments: str) -> int:
    command = [sys.executable, "-m", "pytest", "-q", *arguments]
    return subprocess.run(command, cwd=folder.path, capture_output=True, check=False).returncode


@pytest.mark.slow
def test_halves_of_two_machines_give_the_verdicts_of_a_whole_run(
    measured: Project, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    measured.run("--safety-replay")
    (tmp_path / "machines").mkdir()
    one, two, desk = halves(tmp_path / "machines")
    monkeypatch.chdir(desk.path)
    done = call("store", "merge", one.store, two.store)
    assert done.exit_code == 0, done.output
    assert f"added {ALL // 2} responses" in done.output
    assert "note:" not in done.output
    assert run(desk, "--safety-replay") == pytest.ExitCode.TESTS_FAILED
    assert desk.decisions == measured.decisions
    assert desk.summary["decisions"] == measured.summary["decisions"]
    assert run(desk) == pytest.ExitCode.TESTS_FAILED
    assert desk.asked == 0


def test_merge_refuses_answers_that_differ_unless_told(measured: Project) -> None:
    shutil.copy(measured.store, "other.db")
    with closing(sqlite3.connect("other.db")) as db, db:
        db.execute("update completion set text = 'something else' where key in (select key from "
                   "completion order by key limit 3)")  # fmt: skip
    before = measured.texts
    refused(
        call("store", "merge", "other.db"), "3 entries are there with another content than here"
    )
    done = call("store", "merge", "other.db", "--keep-first")
    assert "3 entries differ from the first store, which was kept" in done.output
    assert measured.texts == before


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (["missing.db"], "missing.db: there is no such file"),
        (["."], ".: is a folder"),
        (["safety.toml"], "safety.toml: the store could not be opened: this file is no store"),
        (["cut.db"], "cut.db: the store is damaged"),
        (["newer.db"], "newer.db: written by another version (schema 99"),
        (["reports/safety.db"], "named twice"),
        (["copy.db", "copy.db"], "named twice"),
        (["copy.db", "--into", "safety.toml"], "this file is no store of responses"),
    ],
)
def test_bad_files_are_one_line_and_nothing_is_merged(
    measured: Project, arguments: list[str], text: str
) -> None:
    before = (measured.path / "safety.toml").read_bytes()
    content = measured.store.read_bytes()
    Path("copy.db").write_bytes(content)
    Path("cut.db").write_bytes(content[:-5000])
    shutil.copy("copy.db", "newer.db")
    with closing(sqlite3.connect("newer.db")) as db, db:
        db.execute("update meta set value = '99'")
    refused(call("store", "merge", *arguments), text)
    if "--into" not in arguments and "damaged" in text:
        refused(call("store", "inspect", *arguments), text)
    assert measured.completions == ALL
    assert (measured.path / "safety.toml").read_bytes() == before


def test_inspect_and_export_name_a_file_that_is_not_there(measured: Project) -> None:
    for command in (["inspect"], ["export", "--to", "x.parquet"]):
        refused(call("store", *command, "missing.db"), "missing.db: there is no such file")
