"""Mistakes in safety.toml are answered with one line each: what, where, what was expected."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import pytest

from safemlrm.config import Config, load_config
from safemlrm.errors import ConfigError

GOOD = """
[models.base]
engine = "scripted"
[models.reasoner]
engine = "scripted"
reasoning = { open = "<think>", close = "</think>" }
[pairs.r1]
base = "base"
candidate = "reasoner"
change = "reasoning"
[scenarios.fraud]
[scenarios.sex]
prompts = 30
[attacks.direct]
[limits]
asr = 0.29
[profiles.smoke.scenarios."*"]
prompts = 20
[profiles.smoke.scenarios.sex]
prompts = 10
"""


def load(tmp_path: Path, text: str, profile: str | None = None) -> Config:
    file = tmp_path / "safety.toml"
    file.write_text(text, "utf-8")
    return load_config(file, profile)


def complaint(tmp_path: Path, text: str, profile: str | None = None) -> str:
    with pytest.raises(ConfigError) as caught:
        load(tmp_path, text, profile)
    return str(caught.value).replace(str(tmp_path), "~")


def test_limits_are_the_fractions_their_text_shows(tmp_path: Path) -> None:
    assert load(tmp_path, GOOD).limits.asr == Fraction(29, 100)


def test_paths_start_at_the_file(tmp_path: Path) -> None:
    config = load(tmp_path, GOOD)
    assert config.store_path == tmp_path / "reports/safety.db"
    assert config.reports_path == tmp_path / "reports"


def test_a_profile_overlays_and_its_star_speaks_for_every_scenario(tmp_path: Path) -> None:
    config = load(tmp_path, GOOD, "smoke")
    assert {name: s.prompts for name, s in config.scenarios.items()} == {"fraud": 20, "sex": 10}
    assert config.limits == load(tmp_path, GOOD).limits


FRAUD = """
[[{table}.override]]
scenario = "fraud"
asr = {asr}
reason = "one"
"""
PAIR = """
[[{table}.override]]
pair = "r1"
asr = 0.4
escape = 0.4
reason = "two"
"""


@pytest.mark.parametrize(
    ("file", "profile", "left_out"),
    [
        ([], [FRAUD], 0),
        ([FRAUD], [], 0),
        ([FRAUD], ["override = []"], 1),
        ([FRAUD, FRAUD], [FRAUD], 0),
        ([FRAUD, PAIR], [FRAUD], 1),
        ([FRAUD, PAIR], [PAIR.replace("asr = 0.4", "")], 2),
        ([FRAUD], [FRAUD.replace("asr = {asr}", "saturated = true")], 1),
    ],
)
def test_overrides_that_a_profile_leaves_out_are_counted(
    tmp_path: Path, file: list[str], profile: list[str], left_out: int
) -> None:
    overrides = "".join(file).format(table="limits", asr=0.1)
    text = GOOD.replace("[profiles", f"{overrides}[profiles", 1)
    mine = "".join(profile).format(table="profiles.smoke.limits", asr=0.2)
    config = load(tmp_path, f"{text}[profiles.smoke.limits]\n{mine}", "smoke")
    assert config.left_out == left_out
    assert len(config.limits.override) == len(profile if mine else file) * ("[]" not in mine)
    assert load(tmp_path, text).left_out == 0


def test_a_configuration_is_told_from_another_and_not_by_its_place(tmp_path: Path) -> None:
    here, there = tmp_path / "here", tmp_path / "there"
    here.mkdir()
    there.mkdir()
    assert load(here, GOOD).digest == load(there, GOOD).digest
    digests = {
        load(here, GOOD).digest,
        load(here, GOOD, "smoke").digest,
        load(here, GOOD.replace("0.29", "0.3")).digest,
        load(here, GOOD + "[gate]\nseed = 1\n").digest,
        load(here, GOOD.replace("prompts = 30", "prompts = 31")).digest,
    }
    assert len(digests) == 5


@pytest.mark.parametrize(
    ("wrong", "right", "line"),
    [
        ("[pairs.r1]", "[piars.r1]", "~/safety.toml: unknown key piars; did you mean 'pairs'?"),
        (
            'engine = "scripted"\nreasoning',
            'egnine = "scripted"\nreasoning',
            "~/safety.toml: unknown key [models.reasoner] egnine; did you mean 'engine'?",
        ),
        (
            "asr = 0.29",
            "arc = 0.29",
            "~/safety.toml: unknown key [limits] arc; did you mean 'asr'?",
        ),
        (
            "asr = 0.29",
            "asr = 1.5",
            "~/safety.toml: [limits] asr: expected a rate between 0 and 1, got 1.5",
        ),
        (
            "prompts = 30",
            "prompts = 0",
            "~/safety.toml: [scenarios.sex] prompts: input should be greater than or equal to 1 (found 0)",
        ),
        (
            "[attacks.direct]",
            "[attacks.Direct]",
            "~/safety.toml: [attacks.Direct] is not a valid name; "
            "use a-z, 0-9 and _ and start with a letter",
        ),
        (
            'candidate = "reasoner"',
            'candidate = "reasonr"',
            "~/safety.toml: [pairs.r1] candidate = 'reasonr', but there is no [models.reasonr]; "
            "did you mean 'reasoner'?",
        ),
        (
            "[attacks.direct]",
            "[attacks.fraud]",
            "~/safety.toml: 'fraud' names both [scenarios.fraud] and [attacks.fraud]; "
            "each name is a pytest marker, so rename one",
        ),
        (
            "[attacks.direct]",
            "[attacks.skip]",
            "~/safety.toml: [attacks.skip] would hide the pytest marker 'skip'; choose another name",
        ),
        (
            "[limits]",
            "[limits",
            "~/safety.toml: not valid TOML: Expected ']' at the end of a table declaration "
            "(at line 15, column 8)",
        ),
    ],
)
def test_a_mistake_is_one_line(tmp_path: Path, wrong: str, right: str, line: str) -> None:
    assert wrong in GOOD
    text = GOOD.replace(wrong, right, 1)
    found = complaint(tmp_path, text).splitlines()
    assert line in found


@pytest.mark.parametrize(
    ("keys", "line"),
    [
        (
            'thinking = "zero"',
            '[models.base] thinking = "zero" needs the markers of the trace; give reasoning = '
            '{ open = "<think>", close = "</think>" }, or leave thinking out',
        ),
        (
            "thinking_rounds = 3",
            '[models.base] thinking_rounds belongs to thinking = "more"; leave it out',
        ),
        (
            'thinking = "none"',
            "[models.base] thinking: input should be 'default', 'zero', 'less' or 'more' "
            "(found 'none')",
        ),
    ],
)
def test_thinking_is_steered_by_markers(tmp_path: Path, keys: str, line: str) -> None:
    text = GOOD.replace("[models.base]\n", f"[models.base]\n{keys}\n", 1)
    assert complaint(tmp_path, text) == f"~/safety.toml: {line}"


def test_a_reasoner_may_think_more(tmp_path: Path) -> None:
    more = '[models.reasoner]\nthinking = "more"\nthinking_rounds = 3\n'
    config = load(tmp_path, GOOD.replace("[models.reasoner]\n", more, 1))
    assert config.models["reasoner"].thinking_rounds == 3


def test_an_override_needs_a_reason(tmp_path: Path) -> None:
    text = GOOD.replace(
        "[profiles.smoke.scenarios", "[[limits.override]]\nasr = 0.5\n[profiles.smoke.scenarios", 1
    )
    assert complaint(tmp_path, text) == "~/safety.toml: missing [[limits.override]] #1 reason"


def test_a_missing_file_says_how_to_name_one(tmp_path: Path) -> None:
    with pytest.raises(
        ConfigError, match="no such file; write one, or name it with --safety-config"
    ):
        load_config(tmp_path / "nowhere.toml")


def test_an_unknown_profile_is_suggested(tmp_path: Path) -> None:
    assert complaint(tmp_path, GOOD, "smok").endswith(
        "there is no [profiles.smok]; did you mean 'smoke'?"
    )


def test_an_empty_table_is_refused(tmp_path: Path) -> None:
    text = GOOD.replace("[scenarios.fraud]\n[scenarios.sex]\nprompts = 30\n", "")
    line = "~/safety.toml: [scenarios] is empty; add at least one [scenarios.NAME]"
    assert complaint(tmp_path, text) == line
