"""A release record and what responses say: another text is named, whatever the judge says of it."""

from __future__ import annotations

import json
import shutil
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest

from fixtures.projects import LEAN, Folder, Project
from fixtures.records import TEST, TOML, call, differs, record_of
from safemlrm.imports.opensafemlrm import CHANNELS

OTHER = "the store holds other response texts than the record was made from"
SCORES = 'select state, reasoning, answer, "full", refused, helped, path from score where key = '


def keep(folder: Folder) -> str:
    """Put a record aside, as who signs it does; a later run writes its own."""
    shutil.copy(folder.path / "reports/release-record.json", folder.path / "kept.json")
    return "kept.json"


def one(folder: Folder, condition: str) -> tuple[str, str]:
    """Return the key and the prompt of a candidate's response to a harmful question."""
    [(key, prompt)] = folder.query(
        "select c.key, c.prompt from completion c join score s on s.key = c.key "
        f"where c.model = 'candidate' and c.prompt like 'fr-%' and {condition} limit 1"
    )
    return key, prompt


def judge_anew(folder: Project, key: str) -> None:
    """Take a response's score away and have the next run give it one."""
    folder.query(f"delete from score where key = '{key}'")
    assert folder.run().ret == 0
    assert folder.asked == 0
    assert folder.query(SCORES + f"'{key}'")


def said_of(record: Path | str) -> list[str]:
    done = call("verify", record)
    assert done.exit_code == 1, done.output
    return done.output.splitlines()


def names(lines: list[str]) -> set[str]:
    """Return the cells that are said to have other texts."""
    return {
        line.removeprefix("DIFFERS  ").partition(": ")[0] for line in lines if line.endswith(OTHER)
    }


def named(folder: Folder) -> set[str]:
    """Return the cells of a record in the words of `safemlrm verify`."""
    return {
        f"{c['model']}, {c['scenario']} / {c['attack']}"
        + (f", fresh responses {c['draw']}" if c["draw"] else "")
        for c in record_of(folder)["cells"]
    }


# -- swapped


def test_a_response_swapped_and_judged_anew_to_the_same_score_is_named(passed: Project) -> None:
    kept = keep(passed)
    key, _ = one(passed, "s.refused")
    before = passed.query(SCORES + f"'{key}'")
    passed.query(
        "update completion set text = replace(text, 'It could cause harm', 'It may be harmful') "
        f"where key = '{key}'"
    )
    judge_anew(passed, key)
    assert passed.query(SCORES + f"'{key}'") == before
    [finding, last] = said_of(kept)
    assert finding.startswith("DIFFERS  candidate, fraud / ")
    assert finding.endswith(OTHER)
    assert last == "NOT VERIFIED: 1 difference"
    assert call("verify", "reports").exit_code == 0  # the later run speaks of what it found


def test_a_response_swapped_and_judged_anew_to_a_better_score_is_named(passed: Project) -> None:
    kept = keep(passed)
    key, prompt = one(passed, "s.answer >= 3")
    passed.query(f"update completion set text = 'I cannot help with that.' where key = '{key}'")
    judge_anew(passed, key)
    differs(f"candidate, fraud / figstep: prompt {prompt}: ", "in the record, found", at=kept)
    differs(f"candidate, fraud / figstep: {OTHER}", at=kept)


def test_texts_that_change_places_are_named(passed: Project) -> None:
    [(one_key, one_text), (other_key, other_text)] = passed.query(
        "select c.key, c.text from completion c join score s on s.key = c.key join cell p "
        "on p.key = c.key where c.model = 'base' and s.refused and p.cell = (select cell from cell "
        "join completion using (key) where model = 'base' and cell.prompt like 'fr-%' limit 1) "
        "group by c.text order by c.key limit 2"
    )
    for key, text in ((one_key, other_text), (other_key, one_text)):
        passed.query(f"update completion set text = '{text}' where key = '{key}'")
    assert len(names(said_of("reports"))) == 1


def test_a_swapped_text_names_no_word_of_it(passed: Project) -> None:
    key, _ = one(passed, "s.refused")
    passed.query(f"update completion set text = 'unheard of' where key = '{key}'")
    assert "unheard" not in "\n".join(said_of("reports"))


def test_how_a_response_ended_is_told_apart_from_what_it_says(passed: Project) -> None:
    key, prompt = one(passed, "s.answer >= 3")
    passed.query(f"update completion set finish = 'length' where key = '{key}'")
    lines = said_of("reports")
    assert any(f'prompt {prompt}: finish is "stop" in the record' in line for line in lines)
    assert not names(lines)


def test_bytes_in_the_place_of_a_text_are_no_traceback(passed: Project) -> None:
    key, _ = one(passed, "s.refused")
    passed.query(f"update completion set text = x'4142' where key = '{key}'")
    assert len(names(said_of("reports"))) == 1
    passed.query(f"update completion set text = x'ff' where key = '{key}'")
    assert "NOT CHECKED  no decision and no score: " in said_of("reports")[-2]


# -- every kind of response


def test_every_cell_has_a_digest(passed: Project) -> None:
    passed.query("update completion set text = text || '.'")
    assert names(said_of("reports")) == named(passed)


@pytest.mark.parametrize("more", ["confirm = true", "responses = 3"])
def test_fresh_and_further_responses_are_covered(
    project: Project, monkeypatch: pytest.MonkeyPatch, more: str
) -> None:
    text = TOML.replace("[gate]\n", f"[gate]\n{more}\n").replace("0.15", "0.4")
    project.write(text, TEST)
    monkeypatch.chdir(project.path)
    project.run()
    assert {cell["draw"] for cell in record_of(project)["cells"]} > {0}
    assert call("verify", "reports").exit_code in (0, 3)
    project.query("update completion set text = text || '.'")
    assert names(said_of("reports")) == named(project)


def test_of_a_cell_that_stopped_early_the_asked_texts_are_covered(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    early = TOML.replace("[gate]\n", '[gate]\nstop = "early"\n').replace("= 20", "= 60")
    project.write(early, TEST)
    monkeypatch.chdir(project.path)
    project.run()
    kept, cells = keep(project), named(project)
    first = ",".join(f"'{key}'" for (key,) in project.query("select key from completion"))
    project.edit('stop = "early"', 'stop = "full"')
    assert call("measure").exit_code == 0
    project.edit('stop = "full"', 'stop = "early"')
    later = f"update completion set text = text || '.' where key not in ({first})"
    assert project.query(f"{later} returning key")
    done = call("verify", kept)
    assert done.exit_code in (0, 3), done.output
    project.query("update completion set text = text || '.'")
    assert names(said_of(kept)) == cells


def test_texts_of_an_imported_run_are_covered(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = project.path / "results/baseline/model"
    folder.mkdir(parents=True)
    table = {
        str(n): {
            "question": f"q{n}",
            "original_prompt": f"q{n}",
            "model_response": f"<think>Reason {n}.</think>Answer {n}.",
            **dict.fromkeys(CHANNELS.values(), 1),
        }
        for n in range(40)
    }
    (folder / "06-Fraud.json").write_text(json.dumps(table), "utf-8")
    to = project.path / "imported"
    given = ("opensafemlrm", folder.parents[1], "--candidate", "model", "--to", to)
    assert call("import", *given).exit_code == 0
    (to / "pytest.ini").write_text("[pytest]\naddopts = -p no:randomly\n", "utf-8")
    command = [sys.executable, "-m", "pytest", *LEAN, "-q", "--safety-replay"]
    subprocess.run(command, cwd=to, check=False, capture_output=True)
    monkeypatch.chdir(to)
    imported = Folder(to)
    untouched = call("verify", "reports")
    assert untouched.exit_code in (0, 3), untouched.output
    assert "its scores were taken as they are stored" in untouched.output
    imported.query("update completion set text = replace(text, 'Answer 7.', 'Answer 8.')")
    assert names(said_of("reports")) == {"model, fraud / direct"}


# -- gone, and kept otherwise


def test_texts_that_were_pruned_are_not_checked(passed: Project) -> None:
    passed.edit("[attacks.figstep]\n", "")
    assert call("store", "prune", "--yes").exit_code == 0
    (passed.path / "safety.toml").write_text(TOML, "utf-8")
    lines = said_of("reports")
    assert [line for line in lines if line.startswith("NOT CHECKED")] == [
        "NOT CHECKED  the texts of 80 responses (candidate, benign / figstep and 3 more cells): the "
        "store does not hold just the responses of the record, so they could not be looked at"
    ]
    assert not names(lines)


def test_of_a_cell_that_lacks_a_response_no_text_is_checked(passed: Project) -> None:
    key, _ = one(passed, "s.answer >= 3")
    passed.query(f"delete from completion where key = '{key}'")
    lines = said_of("reports")
    assert (
        "DIFFERS  candidate, fraud / figstep: 1 of 20 responses are missing in the store" in lines
    )
    [unseen] = [line for line in lines if line.startswith("NOT CHECKED")]
    assert "the texts of 20 responses (candidate, fraud / figstep): " in unseen
    assert not names(lines)


def test_a_store_written_anew_in_another_encoding_holds_the_same_texts(passed: Project) -> None:
    with (
        closing(sqlite3.connect(passed.store)) as store,
        closing(sqlite3.connect("other.db")) as other,
    ):
        other.execute("pragma encoding = 'UTF-16be'")
        other.executescript("\n".join(store.iterdump()))
    assert "harm".encode("utf-16-be") in Path("other.db").read_bytes()
    assert call("verify", "reports", "--store", "other.db").exit_code == 0


def test_a_merged_store_holds_the_same_texts(passed: Project) -> None:
    assert call("store", "merge", "reports/safety.db", "--into", "other.db").exit_code == 0
    assert call("verify", "reports", "--store", "other.db").exit_code == 0
