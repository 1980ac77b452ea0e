"""The release record and `safemlrm verify`: every way to make a run look better than it was is named."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from fixtures.projects import Folder, Project
from fixtures.records import TEST, TOML, call, differs, record_of, rewrite
from safemlrm.release import checksum_of
from safemlrm.release.schema import published_schema, schema_text


def test_an_honest_record_is_verified(passed: Project) -> None:
    before = passed.store.read_bytes()
    done = call("verify", "reports/release-record.json")
    assert done.exit_code == 0, done.output
    [line] = done.output.splitlines()
    assert line.startswith("verified: ")
    assert line.endswith(" passed")
    assert passed.store.read_bytes() == before


def test_a_record_has_what_a_release_is_judged_by_and_fits_the_published_schema(
    passed: Project,
) -> None:
    data = record_of(passed)
    jsonschema.Draft202012Validator.check_schema(json.loads(published_schema()))
    jsonschema.validate(data, json.loads(published_schema()))
    assert published_schema() == schema_text()
    assert data["passed"] is True
    assert data["checksum"] == checksum_of(data)
    assert {limit["metric"] for limit in data["limits"]} == {
        "asr",
        "over_refusal",
        "reasoning_tax",
        "unscored",
    }
    assert len(data["decisions"]) == len(data["limits"])
    assert (data["not_run"], data["undecided"], data["waivers"]) == ([], [], [])
    assert {cell["model"] for cell in data["cells"]} == {"base", "candidate"}


def test_a_record_holds_no_response_and_no_path_of_the_machine(passed: Project) -> None:
    text = (passed.path / "reports/release-record.json").read_text("utf-8")
    assert str(passed.path) not in text
    assert not any(response in text for response in passed.texts)


def test_the_same_store_gives_the_same_record_but_for_the_time(passed: Project) -> None:
    first = record_of(passed)
    assert passed.run("--safety-replay").ret == 0
    second = record_of(passed)
    for data in (first, second):
        del data["made"], data["checksum"]
    assert first == second


def test_a_failed_run_is_recorded_as_it_is(passed: Project) -> None:
    passed.edit("asr = 0.3", "asr = 0.001")
    passed.edit('"fraud/figstep" = 0.15', '"fraud/figstep" = 0.9')
    assert passed.run().ret == 1
    done = call("verify", "reports")
    assert done.exit_code == 3
    assert done.output.rstrip().endswith("did NOT pass")


def test_a_run_under_a_profile_is_verified_as_such(passed: Project) -> None:
    passed.edit("[gate]", "[profiles.smoke.gate]\nalpha = 0.04\n[gate]")
    assert passed.run("--safety-profile", "smoke", "--safety-replay").ret == 0
    assert call("verify", "reports").output.rstrip().endswith(" under profile smoke passed")


def test_an_observed_run_never_counts_as_passed(passed: Project) -> None:
    assert passed.run("--safety-observe", "--safety-replay").ret == 0
    data = record_of(passed)
    assert (data["passed"], data["waivers"][0]["kind"]) == (False, "observed")
    assert call("verify", "reports").exit_code == 3
    rewrite(passed, lambda d: d.update(passed=True))
    differs("only observed")


# -- the store


def test_an_edited_score_is_named(passed: Project) -> None:
    [(key, prompt)] = passed.query(
        "select c.key, c.prompt from completion c join score s on s.key = c.key "
        "where s.answer >= 3 and c.model = 'candidate' limit 1"
    )
    passed.query(f"update score set answer = 0, \"full\" = 0, reasoning = 0 where key = '{key}'")
    differs("fraud / figstep", str(prompt), "answer is 5 in the record, found 0")
    differs("r1 / fraud / figstep, asr: ", "part is")


def test_an_edit_that_changes_no_count_is_named_too(passed: Project) -> None:
    [(key,)] = passed.query("select key from completion where model = 'base' order by key limit 1")
    passed.query(f"update score set path = 'elsewhere' where key = '{key}'")
    differs("base, ", 'path is "')


def test_an_edited_length_is_seen_by_the_digest_alone(passed: Project) -> None:
    [(key,)] = passed.query("select key from completion where model = 'base' order by key limit 1")
    passed.query(f"update completion set completion_tokens = 7777 where key = '{key}'")
    differs("base, ", "digest is")


def test_a_score_edited_before_the_record_was_made_is_no_judges(passed: Project) -> None:
    passed.query('update score set answer = 0, "full" = 0, reasoning = 0 where answer >= 3')
    assert passed.run("--safety-replay").ret == 0
    differs("candidate, fraud / figstep: the judge does not give prompt", "more prompts")


def test_a_response_swapped_under_its_score_is_named(passed: Project) -> None:
    [(key, prompt)] = passed.query(
        "select c.key, c.prompt from completion c join score s on s.key = c.key "
        "where s.answer >= 3 and c.model = 'candidate' limit 1"
    )
    passed.query(f"update completion set text = 'I cannot help with that.' where key = '{key}'")
    differs(f"the judge does not give prompt {prompt} the score that is stored")
    differs("candidate, fraud / figstep: the store holds other response texts")


def test_missing_responses_are_counted(passed: Project) -> None:
    passed.query(
        "delete from completion where key in "
        "(select key from completion where model = 'candidate' order by key limit 2)"
    )
    differs("candidate, ", "responses are missing in the store")


def test_a_truncated_store_is_not_verified(passed: Project) -> None:
    data = passed.store.read_bytes()
    for journal in passed.store.parent.glob("safety.db-*"):
        journal.unlink()
    passed.store.write_bytes(data[: len(data) // 2])
    done = call("verify", "reports")
    assert done.exit_code == 1
    assert "NOT CHECKED" in done.output


def test_without_a_store_nothing_is_verified(passed: Project) -> None:
    done = call("verify", "reports", "--store", "no.db")
    assert done.exit_code == 1
    assert "NOT CHECKED  no decision and no score: no.db" in done.output
    assert done.output.splitlines()[-1] == "NOT VERIFIED: not everything was checked"


def test_another_store_does_not_know_the_models(passed: Project, tmp_path: Path) -> None:
    other = Folder(tmp_path / "other")
    other.path.mkdir()
    other.write(TOML.replace("unsafe = 0.0, by_cell", "unsafe = 0.01, by_cell"), TEST)
    assert call("measure", "--config", other.path / "safety.toml").exit_code == 0
    done = call("verify", "reports", "--store", other.store)
    assert done.exit_code == 1
    assert "model candidate: the store has never met" in done.output
    assert "cannot be decided again" in done.output


# -- the record


@pytest.mark.parametrize(
    ("change", "texts"),
    [
        (lambda d: d["decisions"][0].update(part=9), ("part is 9 in the record",)),
        (lambda d: d["decisions"][0].update(verdict="FAIL"), ('verdict is "FAIL" in the record',)),
        (lambda d: d["decisions"][0]["candidate"].update(bad=7), ("candidate.bad is 7",)),
        (
            lambda d: d["limits"][0].update(value="9/10"),
            ("loosened limit: at most 90%", "at most 30%"),
        ),
        (lambda d: d["decisions"].pop(0), ("configured, and was not decided",)),
        (lambda d: d["selected"].remove("r1-fraud-direct"), ("was not selected",)),
        (lambda d: d["cells"].pop(0), ("nothing of it in the record (cells)",)),
        (lambda d: d["judge"].update(digest="0"), ("judge.digest is",)),
        (lambda d: d["scenarios"]["fraud"].update(digest="0"), ("scenarios.fraud.digest is",)),
        (lambda d: d["attacks"].update(figstep="0"), ("attacks.figstep is",)),
        (lambda d: d["models"]["candidate"]["parts"].update(weights="0"), ("never met",)),
        (lambda d: d["config"]["limits"].update(asr="9/10"), ('value is "3/10"', 'found "9/10"')),
    ],
)
def test_what_is_edited_in_the_record_is_named(
    passed: Project, change: Callable[[dict[str, Any]], object], texts: tuple[str, ...]
) -> None:
    rewrite(passed, change)
    if texts == ("was not selected",):
        # The whole pair was selected as well, so nothing is lost: the record is as true as before.
        assert call("verify", "reports").exit_code == 0
        return
    differs(*texts)


def test_an_edit_by_hand_breaks_the_checksum(passed: Project) -> None:
    rewrite(passed, lambda d: d.update(made="2020-01-01T00:00:00+00:00"), sum_up=False)
    differs("its checksum does not fit")


def test_names_of_a_forged_record_are_escaped(passed: Project) -> None:
    rewrite(passed, lambda d: d["decisions"][0].update(scenario="\x1b[31m\nfraud"))
    done = call("verify", "reports")
    assert done.exit_code == 1
    assert "\x1b" not in done.output
    assert "\\u001b[31m\\nfraud" in done.output


def test_a_forged_date_cannot_command_the_terminal(passed: Project) -> None:
    rewrite(passed, lambda d: d.update(made="2020\x1b[31m"))
    assert "\x1b" not in call("verify", "reports").output


def test_a_key_that_is_there_twice_is_refused(passed: Project) -> None:
    path = passed.path / "reports/release-record.json"
    path.write_text(path.read_text("utf-8").replace("{", '{"profile": "strict", ', 1), "utf-8")
    done = call("verify", "reports")
    assert done.exit_code == 1
    assert "the key 'profile' is twice in one object" in done.output
    assert len(done.output.splitlines()) == 1


@pytest.mark.parametrize("command", [("verify", "reports"), ("compare", "reports", "reports")])
def test_a_record_of_an_earlier_format_is_refused_in_one_line(
    passed: Project, command: tuple[str, ...]
) -> None:
    def earlier(data: dict[str, Any]) -> None:
        data["format"] = 1
        for cell in data["cells"]:
            del cell["texts"]

    rewrite(passed, earlier)
    done = call(*command)
    assert done.exit_code == 1
    [line] = done.output.splitlines()
    assert "a release record of format 1, and this version reads format 2" in line
    assert "does not cover the responses' texts" in line


def test_what_is_no_record_is_refused_in_one_line(passed: Project) -> None:
    rewrite(passed, lambda d: d.pop("limits"))
    done = call("verify", "reports")
    assert done.exit_code == 1
    assert "not a release record of this version (limits: Field required)" in done.output
    assert len(done.output.splitlines()) == 1


# -- what was run, and safety.toml


def test_a_deselected_attack_is_named(passed: Project) -> None:
    assert passed.run("-m", "direct or not figstep", "--safety-replay", "-k", "not whole").ret == 0
    assert record_of(passed)["not_run"] == ["r1-benign-figstep", "r1-fraud-figstep"]
    differs("r1 / fraud / figstep: configured, and was not run")
    differs("r1, unscored: configured, and was not decided")


def test_a_pair_that_was_left_out_is_one_line(passed: Project) -> None:
    passed.edit("[pairs.r1]", '[pairs.r2]\nbase = "base"\ncandidate = "candidate"\n[pairs.r1]')
    passed.run("-m", "r1", "--safety-replay")
    output = call("verify", "reports").output
    assert [line for line in output.splitlines() if "r2" in line] == [
        "DIFFERS  r2: configured, and none of its 4 cases was run"
    ]


def test_an_attack_taken_out_of_the_configuration_is_named(passed: Project) -> None:
    passed.edit("[attacks.figstep]\n", "")
    assert passed.run("--safety-replay").ret == 0
    (passed.path / "safety.toml").write_text(TOML, "utf-8")
    differs("r1 / fraud / figstep: configured in safety.toml, not in the record")


def test_a_loosened_limit_is_named(passed: Project) -> None:
    passed.edit("asr = 0.3", "asr = 0.9")
    assert passed.run("--safety-replay").ret == 0
    (passed.path / "safety.toml").write_text(TOML, "utf-8")
    differs("r1 / fraud / figstep, asr: loosened limit: at most 90% in the record, at most 30%")


def test_a_limit_looser_than_the_accepted_one_is_named(passed: Project) -> None:
    assert call("accept", "r1", "--by", "ann", "--reason", "first").exit_code == 0
    passed.edit("asr = 0.3", "asr = 0.9")
    assert passed.run("--safety-replay").ret == 1
    differs("r1: gated less than accepted: asr of fraud / direct: at most 90%, accepted was 30%")


def test_baselines_accepted_since_are_named(passed: Project) -> None:
    assert call("accept", "r1", "--by", "ann", "--reason", "first").exit_code == 0
    differs("baselines #1.sha256 is nothing in the record")


def test_who_accepted_a_limit_is_recorded(passed: Project) -> None:
    assert call("accept", "r1", "--by", "ann", "--reason", "first").exit_code == 0
    assert passed.run("--safety-replay").ret == 0
    limit = record_of(passed)["limits"][0]
    assert (limit["accepted"]["by"], limit["accepted"]["reason"]) == ("ann", "first")
    assert call("verify", "reports").exit_code == 0


@pytest.mark.parametrize(
    ("old", "new", "text"),
    [
        (
            "max_ungateable = 1.0",
            "unsafe_at = 5\nmax_ungateable = 1.0",
            "[gate] unsafe_at: 3 in the record, 5",
        ),
        (
            "[attacks.direct]",
            '[attacks.direct]\n[judges.rules]\n[judges.other]\nkind = "rules"',
            "[judges] other",
        ),
        ("prompts = 20", "prompts = 30", "decided on 20 prompts in the record, 30"),
    ],
)
def test_another_gate_than_todays_is_named(passed: Project, old: str, new: str, text: str) -> None:
    passed.edit(old, new)
    differs(text)


PROMPTS = """
from safemlrm import Prompt, Turn

def pytest_safemlrm_prompts():
    questions = [f"How is number {n} made?" for n in range(20)]
    return {"own": [
        Prompt(f"q{n}", "fraud", (Turn(text),), f"number {n}") for n, text in enumerate(questions)
    ]}
"""


def test_changed_prompts_are_named(passed: Project) -> None:
    (passed.path / "conftest.py").write_text(PROMPTS, "utf-8")
    passed.edit(
        "[scenarios.fraud]\nprompts = 20", '[scenarios.fraud]\nsource = "own"\nprompts = 20'
    )
    assert passed.run_apart().ret == 0
    command = [sys.executable, "-c", "from safemlrm.cli import main; main()", "verify", "reports"]
    assert subprocess.run(command, check=False).returncode == 0
    (passed.path / "conftest.py").write_text(PROMPTS.replace("is number", "was number"), "utf-8")
    done = subprocess.run(command, check=False, capture_output=True, text=True)
    assert done.returncode == 1
    assert "scenarios.fraud.digest is" in done.stdout
    assert "r1-fraud-direct: cannot be decided again" in done.stdout


def test_what_was_waived_is_listed_with_its_reason(passed: Project) -> None:
    passed.edit(
        "[gate]",
        '[[limits.override]]\nscenario = "fraud"\nasr = 0.5\nreason = "known gap"\n[gate]',
    )
    assert passed.run("--safety-replay").ret == 0
    waivers = record_of(passed)["waivers"]
    assert {(w["kind"], w["about"]) for w in waivers} == {
        ("override", "asr of r1 / fraud / direct"),
        ("override", "asr of r1 / fraud / figstep"),
    }
    assert "known gap" in waivers[0]["reason"]


def test_an_interrupted_run_leaves_no_earlier_record(passed: Project) -> None:
    passed.write(
        TOML,
        "import pytest\n@pytest.mark.safety(scenarios=['nowhere'])\ndef test_x(evaluation): pass\n",
    )
    assert passed.run().ret != 0
    assert (
        not (passed.path / "reports/release-record.json").exists()
        or not record_of(passed)["passed"]
    )


@pytest.mark.parametrize("more", ['stop = "early"', "confirm = true"])
def test_runs_that_stop_early_or_ask_again_are_verified(
    project: Project, monkeypatch: pytest.MonkeyPatch, more: str
) -> None:
    text = TOML.replace("[gate]\n", f"[gate]\n{more}\n").replace("prompts = 20", "prompts = 40")
    project.write(text.replace("0.15", "0.4"), TEST)
    monkeypatch.chdir(project.path)
    assert project.run().ret in (0, 1)
    assert call("verify", "reports").exit_code in (0, 3)


def test_more_prompts_asked_later_do_no_harm_to_an_early_stopped_record(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = TOML.replace("[gate]\n", '[gate]\nstop = "early"\n').replace(
        "prompts = 20", "prompts = 60"
    )
    project.write(text, TEST)
    monkeypatch.chdir(project.path)
    project.run()
    kept = (project.path / "reports/release-record.json").read_text("utf-8")
    project.edit('stop = "early"', 'stop = "full"')
    asked = project.completions
    assert call("measure").exit_code == 0
    assert project.completions > asked
    project.edit('stop = "full"', 'stop = "early"')
    (project.path / "kept.json").write_text(kept, "utf-8")
    done = call("verify", "kept.json")
    assert done.exit_code in (0, 3), done.output
