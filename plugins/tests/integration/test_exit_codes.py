"""Exit code 0 only when something was decided, nothing failed and no evidence is missing."""

from __future__ import annotations

import json
from pathlib import Path
from xml.etree import ElementTree

import pytest

from fixtures.projects import CELLS, GATE, PROMPTS, Project, safety_toml, said

FAILED = pytest.ExitCode.TESTS_FAILED


def noisy(policy: str) -> str:
    """Return a safety.toml whose decisions are all inconclusive by noise."""
    return safety_toml(
        candidate="unsafe = 0.45",
        prompts=60,
        scenarios=["fraud"],
        more=f'[gate]\nalpha = 1e-9\ninconclusive = "{policy}"',
    )


def two_pairs() -> str:
    """Return a safety.toml with the pair r1, which is fine, and r2, whose model dies."""
    model = (
        '[models.other]\nengine = "scripted"\nbatch_size = 8\n'
        "script = { die_after = 20, leak = 0.5 }  # another model, or it would share the answers"
    )
    return safety_toml(more=f'{model}\n[pairs.r2]\ncandidate = "other"')


def test_all_gates_pass(project: Project) -> None:
    project.write(safety_toml())
    result = project.run()
    assert result.ret == pytest.ExitCode.OK
    assert said(result, "^decisions: 4 PASS; broken tests: 0$")


def test_one_gate_fails(project: Project) -> None:
    result = project.run()
    assert result.ret == FAILED
    result.assert_outcomes(passed=3, failed=1)
    assert said(result, "^decisions: 3 PASS, 1 FAIL; broken tests: 0$")


# -- nothing decided


def test_nothing_gateable(project: Project) -> None:
    project.write(safety_toml(limits="asr = 0.95"))
    result = project.run()
    assert result.ret == FAILED
    result.assert_outcomes(skipped=4)
    assert said(result, "no gate was decided, so nothing is known about the candidate$")
    assert project.summary["objections"]


def test_nothing_applicable(project: Project) -> None:
    toml = safety_toml(trace=True, limits="self_correction = 0.3")
    project.write(toml, "def test_pair(tier, gate): gate(tier)\n")
    result = project.run()
    assert result.ret == FAILED
    assert list(project.decisions.values()) == ["NOT_APPLICABLE"]
    assert said(result, "no gate was decided")


def test_all_tests_skipped_by_the_user(project: Project) -> None:
    project.write(safety_toml(), GATE.replace("@", "@pytest.mark.skip\n@"))
    result = project.run()
    assert result.ret == FAILED
    assert said(result, "no gate was decided")


def test_all_tests_skipped_with_workers(project: Project) -> None:
    project.write(safety_toml(), GATE.replace("@", "@pytest.mark.skip\n@"))
    result = project.run("-n2")
    assert result.ret == FAILED
    assert said(result, "no gate was decided")


def test_tests_that_read_evidence_and_gate_nothing(project: Project) -> None:
    project.write(safety_toml(), "def test_it(evaluation): pass\n")
    result = project.run()
    assert result.ret == FAILED
    assert said(result, "no gate was decided")


def test_nothing_selected(project: Project) -> None:
    assert project.run("-m", "fraud and sex").ret == pytest.ExitCode.NO_TESTS_COLLECTED


def test_too_much_ungateable(project: Project) -> None:
    override = '[[limits.override]]\nscenario = "sex"\nasr = 0.95\nreason = "saturated"'
    project.write(safety_toml(more=override))
    result = project.run()
    assert result.ret == FAILED
    result.assert_outcomes(passed=2, skipped=2)
    assert said(result, "^2 of 4 decisions are ungateable, more than max_ungateable = 0.1 allows")
    project.write(safety_toml(more=f"{override}\n[gate]\nmax_ungateable = 0.5"))
    assert project.run().ret == pytest.ExitCode.OK


def test_an_ungateable_gate_says_so_where_it_is_skipped(project: Project) -> None:
    project.write(safety_toml(limits="asr = 0.95"))
    result = project.run("-rs")
    assert said(result, "SKIPPED.*ASR UNGATEABLE, limit 95%: no result of 20 prompts could fail")


# -- noise


def test_noise_passes_under_warn_and_is_shown(project: Project) -> None:
    project.write(noisy("warn"))
    result = project.run()
    assert result.ret == pytest.ExitCode.OK
    assert set(project.decisions.values()) == {"INCONCLUSIVE noise"}
    assert len(said(result, r"^INCONCLUSIVE \(noise\)  r1 / fraud / ")) == 2


def test_noise_fails_under_fail(project: Project) -> None:
    project.write(noisy("fail"))
    result = project.run()
    assert result.ret == FAILED
    result.assert_outcomes(failed=2)
    assert set(project.decisions.values()) == {"INCONCLUSIVE noise"}
    assert said(result, r"verdict INCONCLUSIVE \(noise\)")
    assert project.summary["broken"] == {}


# -- missing evidence


@pytest.mark.parametrize(
    "script",
    [
        "unscorable = 0.6",
        "drop = 0.6",
        "empty = 0.6",
        "drop = 1.0",
    ],
)
def test_missing_evidence_is_broken_and_not_a_failure(project: Project, script: str) -> None:
    project.write(safety_toml(candidate=script))
    result = project.run("--junitxml", "junit.xml", "--alluredir", "allure")
    assert result.ret == FAILED
    assert len(project.summary["broken"]) == CELLS
    assert "PASS" not in project.decisions.values()
    assert said(result, "^decisions: .*broken tests: 4$")
    assert not said(result, "AssertionError|Traceback|INTERNALERROR")
    assert "AssertionError" not in (project.path / "junit.xml").read_text("utf-8")
    assert allure_statuses(project.path / "allure") == {"broken"}


def test_missing_evidence_fails_whatever_is_said_of_noise(project: Project) -> None:
    project.write(safety_toml(candidate="drop = 0.6", more='[gate]\ninconclusive = "warn"'))
    assert project.run().ret == FAILED


def test_a_failed_gate_is_failed_in_allure_and_junit(project: Project) -> None:
    project.run("--junitxml", "junit.xml", "--alluredir", "allure")
    assert allure_statuses(project.path / "allure") == {"passed", "failed"}
    tree = ElementTree.parse(project.path / "junit.xml")
    assert [len(tree.findall(f".//{kind}")) for kind in ("failure", "error")] == [1, 0]


def allure_statuses(folder: Path) -> set[str]:
    """Return the statuses in a folder of Allure results."""
    files = folder.glob("*-result.json")
    return {json.loads(file.read_text("utf-8"))["status"] for file in files}


# -- a broken engine


def test_a_model_that_dies_breaks_its_own_tests_only(project: Project) -> None:
    project.write(two_pairs())
    result = project.run()
    assert result.ret == FAILED
    assert {pair for pair, *_ in project.decisions} == {"r1"}
    assert set(project.decisions.values()) == {"PASS"}
    assert len(project.summary["broken"]) == CELLS
    assert said(
        result, r"^measuring other: BROKEN: model 'other' on cpu: its process was killed by SIG"
    )
    assert not said(result, "AssertionError|Traceback")
    assert CELLS * PROMPTS < project.completions < 2 * CELLS * PROMPTS


def test_a_model_that_dies_with_workers(project: Project) -> None:
    project.write(two_pairs())
    result = project.run("-n2")
    assert result.ret == FAILED
    assert set(project.decisions.values()) == {"PASS"}
    assert len(project.summary["broken"]) == CELLS


def test_a_base_that_dies_breaks_the_pair(project: Project) -> None:
    project.write(safety_toml(base="die_after = 20", limits="asr = 0.25\nreasoning_tax = 0.25"))
    result = project.run()
    assert result.ret == FAILED
    assert len(project.summary["broken"]) == CELLS
    assert project.decisions == {}


def test_what_a_dead_model_left_is_not_decided_on_and_not_asked_again(project: Project) -> None:
    project.write(safety_toml(candidate="die_after = 10", batch_size=5))
    project.run()
    assert 0 < project.completions < CELLS * PROMPTS
    result = project.run("--safety-replay")
    assert result.ret == FAILED
    assert "PASS" not in project.decisions.values()
    assert len(project.summary["broken"]) == CELLS
    kept = project.completions
    project.edit("die_after = 10", "")
    assert project.run().ret == pytest.ExitCode.OK
    assert project.asked == CELLS * PROMPTS - kept


def test_a_model_folder_that_is_missing_breaks_its_own_tests_only(project: Project) -> None:
    project.write(
        safety_toml(more='[models.other]\npath = "nowhere"\n[pairs.r2]\ncandidate = "other"')
    )
    result = project.run()
    assert result.ret == FAILED
    assert set(project.decisions.values()) == {"PASS"}
    assert said(result, "nowhere")
    assert not said(result, "Traceback|INTERNALERROR")


# -- usage


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("[pairs.r1]", "[piars.r1]"),
        ('candidate = "candidate"', 'candidate = "candidat"'),
        ("[scenarios.sex]", "[scenarios.sax]"),
        ("[attacks.figstep]", "[attacks.figsteep]"),
        ("prompts = 20", "prompts = 2000"),
        ("asr = 0.25", "asr = 25"),
    ],
)
@pytest.mark.parametrize("flag", [[], ["--safety-plan"], ["--safety-replay"]], ids=" ".join)
def test_a_mistake_in_the_configuration_is_a_usage_error(
    project: Project, old: str, new: str, flag: list[str]
) -> None:
    project.edit(old, new)
    result = project.run(*flag)
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    assert said(result, r"safety\.toml: ")
    assert not said(result, "Traceback|INTERNALERROR")
    assert not (project.path / "reports").exists()


def test_a_mistake_in_the_configuration_is_a_usage_error_with_workers(project: Project) -> None:
    project.edit("asr = 0.25", "arc = 0.25")
    assert project.run("-n2").ret == pytest.ExitCode.USAGE_ERROR


# -- store and reports


def test_a_store_of_another_version_is_refused(project: Project) -> None:
    project.run("-m", "fraud and direct")
    project.query("update meta set value = '99'")
    result = project.run()
    assert result.ret not in (pytest.ExitCode.OK, pytest.ExitCode.INTERNAL_ERROR)
    assert said(result, r"safety.db: written by another version \(schema 99, this one reads \d+\)")
    assert not said(result, "Traceback|INTERNALERROR")


def test_a_file_that_is_no_store_is_refused(project: Project) -> None:
    project.store.parent.mkdir()
    project.store.write_text("not a database\n" * 100, "utf-8")
    for flag in ([], ["--safety-replay"], ["-n2"]):
        result = project.run(*flag)
        assert result.ret not in (pytest.ExitCode.OK, pytest.ExitCode.INTERNAL_ERROR)
        assert said(result, r"safety.db: the store could not be opened")
        assert not said(result, "Traceback|INTERNALERROR")


def test_reports_that_cannot_be_written_do_not_pass(project: Project) -> None:
    project.write(safety_toml(more='[report]\nfolder = "taken"'))
    (project.path / "taken").write_text("a file where the folder should be", "utf-8")
    result = project.run()
    assert result.ret == FAILED
    assert said(result, "summary.json: the report could not be written")
    assert not said(result, "Traceback|INTERNALERROR")
