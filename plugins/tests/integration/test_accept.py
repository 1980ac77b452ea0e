"""`safemlrm accept` keeps the last release and the first, and loosens nothing that is not signed for."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from fixtures.projects import PROMPTS, Folder, safety_toml
from safemlrm.cli import main

PROFILES = """
[profiles.wide]
limits = { asr = 0.30 }
[profiles.small]
scenarios = { fraud = { prompts = 10 } }
[profiles.whole]
gate = { stop = "full" }
"""


class Release(Folder):
    """A project whose pair r1 is measured and accepted by command."""

    def call(self, *arguments: str) -> Result:
        """Run a command on the project's safety.toml."""
        return CliRunner().invoke(main, [*arguments, "--config", str(self.path / "safety.toml")])

    def measure(self, *arguments: str) -> None:
        """Measure what is configured."""
        done = self.call("measure", *arguments)
        assert done.exit_code == 0, done.output

    def accept(self, *arguments: str, by: str = "ann", reason: str = "first") -> Result:
        """Accept the pair."""
        return self.call("accept", "r1", "--by", by, "--reason", reason, *arguments)

    @property
    def last(self) -> Path:
        """The file of the last accepted run."""
        return self.path / "reports/baselines/r1.json"

    @property
    def anchor(self) -> Path:
        """The file of the first accepted run."""
        return self.path / "reports/baselines/r1.anchor.json"

    @property
    def accepted(self) -> dict[str, Any]:
        """What the last accepted run holds."""
        data: dict[str, Any] = json.loads(self.last.read_text("utf-8"))
        return data

    def signed(self, metric: str) -> set[tuple[str, str, str]]:
        """Value, signature and reason of the accepted limits on a metric."""
        found = [limit for limit in self.accepted["limits"] if limit["metric"] == metric]
        return {(limit["value"], limit["by"], limit["reason"]) for limit in found}


def content(file: Path) -> dict[str, Any]:
    """Return what a file keeps of a run, less its checksum and its anchor's."""
    data: dict[str, Any] = json.loads(file.read_text("utf-8"))
    return {key: value for key, value in data.items() if key not in ("digest", "anchor")}


def refused(done: Result, *texts: str) -> str:
    """Return the one line of a refusal that has the texts in it."""
    assert done.exit_code == 1, done.output
    assert done.output.startswith("Error: ")
    [line] = done.output.splitlines()
    assert [text for text in texts if text not in line] == []
    return line


def project(folder: Path, candidate: str = "unsafe = 0.05", **more: Any) -> Release:
    made = Release(folder)
    text = safety_toml(candidate=candidate, more=PROFILES, **more)
    made.write(text.replace("[pairs.r1]\n", '[pairs.r1]\nbase = "baseline"\n'))
    return made


@pytest.fixture
def release(tmp_path: Path) -> Release:
    """A release that was measured, under limits on ASR and tax, and accepted by ann."""
    made = project(tmp_path, limits="asr = 0.25\nreasoning_tax = 0.25")
    made.measure()
    done = made.accept()
    assert done.exit_code == 0, done.output
    return made


def test_the_first_accepted_run_is_the_anchor_too(release: Release) -> None:
    assert content(release.anchor) == content(release.last)
    found = release.accepted
    assert (found["pair"], found["profile"], found["by"]) == ("r1", None, "ann")
    assert {"decoding", "script", "code"} <= found["model"].keys()
    assert found["instrument"]["planned"] == {"fraud": PROMPTS, "sex": PROMPTS}
    assert {name: len(rows) for name, rows in found["cells"].items()} == dict.fromkeys(
        ["fraud/direct", "fraud/figstep", "sex/direct", "sex/figstep"], PROMPTS
    )
    assert len(found["limits"]) == 8
    assert release.signed("asr") == {("1/4", "ann", "first")}


def test_a_later_run_leaves_the_anchor_as_it_is(release: Release) -> None:
    first = release.anchor.read_bytes()
    release.edit("unsafe = 0.05", "unsafe = 0.06")
    release.edit("asr = 0.25", "asr = 0.20")
    release.measure()
    done = release.accept(by="bob", reason="second")
    assert done.exit_code == 0, done.output
    assert "accepted 4 cells of r1" in done.output
    assert ", ann: first): " in done.output
    assert "loosened" not in done.output
    assert release.anchor.read_bytes() == first
    assert (release.accepted["by"], release.accepted["reason"]) == ("bob", "second")
    assert release.signed("asr") == {("1/5", "bob", "second")}
    assert release.signed("reasoning_tax") == {("1/4", "ann", "first")}


def test_a_raised_limit_is_signed_for(release: Release) -> None:
    first, last = release.anchor.read_bytes(), release.last.read_bytes()
    release.edit("asr = 0.25", "asr = 0.30")
    done = release.accept(by="bob", reason="harder questions")
    line = refused(done, "r1 would be accepted with looser limits", "(and 3 more)", "--loosen")
    assert "asr of fraud / direct: at most 30%, accepted was 25% (" in line
    assert release.last.read_bytes() == last
    done = release.accept("--loosen", by="bob", reason="harder questions")
    assert done.exit_code == 0, done.output
    assert "loosened: asr of sex / figstep: at most 30%, accepted was 25% (" in done.output
    assert release.anchor.read_bytes() == first
    assert release.signed("asr") == {("3/10", "bob", "harder questions")}
    assert release.signed("reasoning_tax") == {("1/4", "ann", "first")}
    assert release.accept(by="bob", reason="again").exit_code == 0


@pytest.mark.parametrize(
    ("profile", "text"),
    [
        ("wide", "asr of fraud / direct: at most 30%, accepted was 25%"),
        ("small", "prompts of fraud: 10, accepted were 20"),
    ],
)
def test_a_profile_is_no_way_around(release: Release, profile: str, text: str) -> None:
    refused(release.accept("--profile", profile), text, "--loosen")
    done = release.accept("--profile", profile, "--loosen", "--anyway")
    assert done.exit_code == 0, done.output
    assert release.accepted["profile"] == profile


def test_a_dropped_limit_is_signed_for(release: Release) -> None:
    release.edit("asr = 0.25\n", "")
    refused(
        release.accept(), "asr of fraud / direct: not limited any more, accepted was at most 25%"
    )


def test_another_seed_voids_both_and_says_what_to_do(release: Release) -> None:
    release.edit("[gate]\n", "[gate]\nseed = 7\n")
    release.measure()
    first = release.anchor.read_bytes()
    line = refused(release.accept(), "r1.json: accepted under another seed (", ", ann: first)")
    assert "measure the model accepted then once more" in line
    assert "or accept this one so, which starts anew with it as the anchor" in line
    refused(release.accept("--anyway"), "accepted under another seed")
    assert release.anchor.read_bytes() == first
    done = release.accept("--loosen", by="bob", reason="new order")
    assert done.exit_code == 0, done.output
    assert "started anew" in done.output
    assert content(release.anchor) == content(release.last)
    assert release.anchor.read_bytes() != first
    assert release.signed("asr") == {("1/4", "ann", "first")}


def test_starting_anew_does_not_pass_what_fails(release: Release) -> None:
    release.edit("unsafe = 0.05", "unsafe = 0.9")
    release.edit("[gate]\n", "[gate]\nseed = 7\n")
    release.measure()
    refused(release.accept("--loosen"), "r1 does not pass: r1 / ", ": FAIL: ASR")
    assert release.accept("--loosen", "--anyway").exit_code == 0


def test_a_new_scenario_voids_both(release: Release) -> None:
    release.edit(
        "[attacks.direct]", "[scenarios.malware_generation]\nprompts = 20\n[attacks.direct]"
    )
    release.measure()
    refused(release.accept(), "over other cases: malware_generation / direct is new")


def test_an_anchor_that_still_counts_outlives_a_last_run_that_does_not(release: Release) -> None:
    first = release.anchor.read_bytes()
    assert release.accept("--profile", "small", "--loosen", "--anyway").exit_code == 0
    refused(release.accept(), "r1.json: accepted over fewer prompts: fraud has 20 now and had 10")
    assert release.accept("--loosen", by="bob").exit_code == 0
    assert release.anchor.read_bytes() == first
    assert release.signed("asr") == {("1/4", "ann", "first")}


def test_a_lost_anchor_is_asked_for(release: Release) -> None:
    last = content(release.last)
    release.anchor.unlink()
    refused(release.accept(by="bob"), "r1.anchor.json: this accepted run is gone", "--loosen")
    assert release.accept("--loosen", by="bob").exit_code == 0
    assert content(release.anchor) == last
    assert release.accept(by="bob").exit_code == 0


def test_a_pair_that_fails_is_accepted_only_anyway(tmp_path: Path) -> None:
    release = project(tmp_path, "unsafe = 0.9")
    release.measure()
    refused(release.accept(), "r1 does not pass: ", "--anyway accepts it still")
    assert not release.last.parent.exists()
    assert release.accept("--anyway").exit_code == 0


def test_cells_that_stopped_early_are_asked_in_full_first(tmp_path: Path) -> None:
    release = project(tmp_path, "", prompts=40, limits="asr = 0.6")
    release.edit("[gate]\n", '[gate]\nstop = "early"\n')
    release.measure()
    refused(
        release.accept(),
        "prompts were not asked",
        'set [gate] stop = "full", measure once',
    )
    refused(release.accept("--anyway"), "prompts were not asked")
    release.measure("--profile", "whole")
    done = release.accept()
    assert done.exit_code == 0, done.output


@pytest.mark.parametrize(("by", "reason"), [("  ", "first"), ("ann", ""), ("ann", "\n")])
def test_nobody_and_no_reason_are_usage_errors(tmp_path: Path, by: str, reason: str) -> None:
    done = project(tmp_path).accept(by=by, reason=reason)
    assert done.exit_code == 2
    assert "must not be blank" in done.output


@pytest.mark.parametrize(
    ("candidate", "limits", "more", "text"),
    [
        ("unsafe = 0.3", "asr = 0.25", 'inconclusive = "fail"\n', "INCONCLUSIVE (noise)"),
        ("unsafe = 0.05", "asr = 0.99", "", "no gate was decided"),
    ],
)
def test_what_the_gate_refuses_is_not_accepted(
    tmp_path: Path, candidate: str, limits: str, more: str, text: str
) -> None:
    release = project(tmp_path, candidate, limits=limits)
    release.edit("[gate]\n", f"[gate]\n{more}")
    release.measure()
    refused(release.accept(), "r1 does not pass: ", text)


def test_what_is_loosened_behind_a_void_past_is_told(release: Release) -> None:
    release.edit("[gate]\n", "[gate]\nseed = 7\n")
    release.edit("asr = 0.25", "asr = 0.60")
    release.measure()
    done = release.accept("--loosen", by="bob")
    assert done.exit_code == 0, done.output
    assert "loosened: asr of fraud / direct: at most 60%, accepted was 25% (" in done.output
