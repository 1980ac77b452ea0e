"""Every mistake that parses as TOML is still one line of ConfigError, and never a traceback."""

from __future__ import annotations

from pathlib import Path

import pytest

from safemlrm.config import load_config
from safemlrm.config.schema import METRICS, PAIR_METRICS
from safemlrm.errors import ConfigError

GOOD = """
store = "safety.db"
[models.base]
engine = "scripted"
[models.reasoner]
engine = "scripted"
reasoning = { open = "<think>", close = "</think>" }
[pairs.r1]
base = "base"
candidate = "reasoner"
[scenarios.fraud]
[scenarios.sex]
prompts = 30
[attacks.direct]
[attacks.figstep]
[gate]
seed = 1
[limits]
asr = 0.29
"""
OVERRIDE = '[[limits.override]]\nreason = "known"\n'


def complaint(tmp_path: Path, text: str, profile: str | None = None) -> str:
    file = tmp_path / "safety.toml"
    file.write_text(text, "utf-8")
    with pytest.raises(ConfigError) as caught:
        load_config(file, profile)
    return str(caught.value).replace(f"{file}: ", "")


def replaced(old: str, new: str) -> str:
    assert old in GOOD
    return GOOD.replace(old, new, 1)


def test_the_text_these_mistakes_are_made_in_is_fine(tmp_path: Path) -> None:
    file = tmp_path / "safety.toml"
    file.write_text(GOOD + OVERRIDE + 'asr = 0.5\nscenario = "s*"\nattack = "fig*"', "utf-8")
    assert load_config(file).limits.override[0].scenario == "s*"


@pytest.mark.parametrize("key", ["file", "profile", "left_out"])
def test_fields_of_our_own_are_no_keys(tmp_path: Path, key: str) -> None:
    line = complaint(tmp_path, f'{key} = "x"\n{GOOD}')
    assert line.startswith(f"unknown key {key}; ")
    assert complaint(tmp_path, f'{GOOD}[profiles.a]\n{key} = "x"', "a") == line


@pytest.mark.parametrize(
    ("value", "line"),
    [
        ("inf", "expected a rate between 0 and 1, got infinity"),
        ("-inf", "expected a rate between 0 and 1, got -infinity"),
        ("nan", "expected a rate between 0 and 1, got nan"),
        ("1e999999999", "expected a rate between 0 and 1, got 1e+999999999"),
        ("1e-999999999", "expected a rate between 0 and 1, got 1e-999999999"),
        (
            "1" + "0" * 400,
            "expected a rate between 0 and 1, got 1.00000e+400 (found 10000000000000000000...0000000000)",
        ),
        ("-0.5", "expected a rate between 0 and 1, got -0.5"),
        ('"1/0"', "expected a number between 0 and 1 (found '1/0')"),
        ('"low"', "expected a number between 0 and 1 (found 'low')"),
        ("true", "expected a number between 0 and 1 (found True)"),
        ("[0.1]", "expected a number between 0 and 1"),
    ],
)
def test_a_limit_is_a_rate(tmp_path: Path, value: str, line: str) -> None:
    assert complaint(tmp_path, replaced("0.29", value)) == f"[limits] asr: {line}"


@pytest.mark.parametrize(
    ("old", "new", "line"),
    [
        (
            "[scenarios.fraud]",
            "[scenarios]\nfraud = 3",
            "[scenarios] fraud: expected a table (found 3)",
        ),
        (
            "[scenarios.fraud]\n",
            '[scenarios."*"]\nprompts = 9\n[scenarios]\nfraud = 3\n',
            "[scenarios] fraud: expected a table (found 3)",
        ),
        (
            "[scenarios.fraud]\n[scenarios.sex]\nprompts = 30\n[attacks",
            "[attacks",
            "[scenarios] is empty; add at least one [scenarios.NAME]",
        ),
        ("[pairs.r1]", "[pairs]\nr2 = 1\n[pairs.r1]", "[pairs] r2: expected a table (found 1)"),
        (
            "[gate]\nseed = 1\n[limits]\nasr = 0.29",
            "[profiles]\nsmoke = 3",
            "[profiles] smoke: expected a table (found 3)",
        ),
        (
            'store = "safety.db"',
            "profiles = 5",
            "profiles: expected tables named [profiles.NAME] (found 5)",
        ),
        (
            'store = "safety.db"',
            'store = "safety.db"\ngpu = 5',
            "[gpu]: expected a table (found 5)",
        ),
        (
            "[limits]",
            "[limits]\ncoupling = 0.5",
            "[limits] coupling: a limit on coupling names its direction; "
            "write { at_most = 0.5 } or { at_least = 0.5 }",
        ),
        (
            "seed = 1",
            "seed = -1",
            "[gate] seed: input should be greater than or equal to 0 (found -1)",
        ),
        (
            "seed = 1",
            "seed = 9223372036854775808",
            "[gate] seed: input should be less than or equal to 9223372036854775807 "
            "(found 9223372036854775808)",
        ),
        (
            "prompts = 30",
            "prompts = 1" + "0" * 4000,
            "[scenarios.sex] prompts: input should be less than or equal to 9223372036854775807 "
            "(found 10000000000000000000...0000000000)",
        ),
        (
            "seed = 1",
            "alpha = nan",
            "[gate] alpha: input should be a finite number",
        ),
        (
            'base = "base"',
            'base = "reasoner"',
            "[pairs.r1] base and candidate are both 'reasoner', but a model cannot be compared "
            'with itself; name another base, leave it out, or write "baseline" for its last '
            "accepted run",
        ),
    ],
)
def test_a_mistake_is_one_line(tmp_path: Path, old: str, new: str, line: str) -> None:
    assert complaint(tmp_path, replaced(old, new)) == line


@pytest.mark.parametrize("digits", ["1" + "0" * 5000, "1e99999999999999999999999"])
def test_a_number_no_reader_takes_is_one_line(tmp_path: Path, digits: str) -> None:
    line = complaint(tmp_path, replaced("seed = 1", f"seed = {digits}"))
    assert line.startswith("not valid TOML: ")
    assert "\n" not in line


@pytest.mark.parametrize("key", ["open", "close", "answer_open", "answer_close"])
@pytest.mark.parametrize("blank", ["", "  ", "\\n"])
def test_a_marker_is_not_blank(tmp_path: Path, key: str, blank: str) -> None:
    text = replaced('{ open = "<think>", close = "</think>" }', f'{{ {key} = "{blank}" }}')
    assert complaint(tmp_path, text).startswith(
        f"[models.reasoner.reasoning] {key}: a marker cannot be blank; "
        "give the text a model writes, or leave it out"
    )


@pytest.mark.parametrize(
    ("profile", "line"),
    [
        ("[profiles.a]\nscenarios = 3", "[scenarios]: expected a table (found 3)"),
        ("[profiles.a.scenarios]\nfraud = 3", "[scenarios] fraud: expected a table (found 3)"),
        ("[profiles.a]\nmodels = { scenarios = 3 }", "[models] scenarios: expected a table"),
        (
            "[profiles.a.profiles.b]",
            "[profiles.a] profiles: a profile cannot hold profiles",
        ),
    ],
)
def test_a_profile_is_made_of_tables(tmp_path: Path, profile: str, line: str) -> None:
    found = complaint(tmp_path, f"{GOOD}{profile}", "a")
    assert found.startswith(line)
    assert "\n" not in found


@pytest.mark.parametrize(
    ("override", "line"),
    [
        ("", "limits nothing; give it a metric, such as asr = 0.2"),
        (
            'scenario = "frod"\nasr = 0.5',
            "scenario = 'frod' matches no [scenarios.NAME]; did you mean 'fraud'?",
        ),
        (
            'attack = "fig_*"\nasr = 0.5',
            "attack = 'fig_*' matches no [attacks.NAME]; known: direct, figstep",
        ),
        ('pair = "r"\nasr = 0.5', "pair = 'r' matches no [pairs.NAME]; did you mean 'r1'?"),
        (
            'scenario = "f*"\nattack = "direct"\nasr = 0.5\nleak = 0.5\nescape = 0.5',
            "sets escape, leak for one scenario and attack, but that is decided for the pair as a "
            "whole; leave out scenario and attack",
        ),
    ],
)
def test_an_override_that_cannot_apply(tmp_path: Path, override: str, line: str) -> None:
    found = complaint(tmp_path, GOOD + OVERRIDE + override)
    assert found == f"[[limits.override]] #1 {line}"


@pytest.mark.parametrize("key", ["scenario", "attack"])
@pytest.mark.parametrize("metric", PAIR_METRICS)
def test_what_is_decided_for_a_pair_has_no_scenario_or_attack(
    tmp_path: Path, metric: str, key: str
) -> None:
    value = "{ at_most = 0.5 }" if metric == "coupling" else "0.05"
    glob = {"scenario": "fraud", "attack": "direct"}[key]
    found = complaint(tmp_path, f'{GOOD}{OVERRIDE}{metric} = {value}\n{key} = "{glob}"')
    assert found == (
        f"[[limits.override]] #1 sets {metric} for one {key}, but that is decided for the pair as "
        f"a whole; leave out {key}"
    )


def test_every_mistake_of_a_kind_is_told_at_once(tmp_path: Path) -> None:
    text = f'{GOOD}{OVERRIDE}asr = 0.5\npair = "x"\n{OVERRIDE}asr = 0.5\nattack = "y"'
    assert len(complaint(tmp_path, text).splitlines()) == 2


def test_the_split_of_the_metrics_is_the_one_that_is_decided_by() -> None:
    from safemlrm.limits import METRIC

    assert {name for name in METRICS if METRIC[name].scope != "case"} == set(PAIR_METRICS)


def test_confirm_does_not_go_with_the_other_burden(tmp_path: Path) -> None:
    text = replaced("seed = 1", 'seed = 1\nconfirm = true\nburden = "show_safe"')
    assert complaint(tmp_path, text) == (
        '[gate] confirm cannot go with burden = "show_safe": it would pass what was not shown to be '
        "safe; ask more prompts instead"
    )


def test_an_override_that_only_accepts_saturation_says_something(tmp_path: Path) -> None:
    file = tmp_path / "safety.toml"
    file.write_text(GOOD + OVERRIDE + 'scenario = "fraud"\nsaturated = true\n', "utf-8")
    assert load_config(file).limits.override[0].saturated


@pytest.mark.parametrize(
    ("old", "new", "line"),
    [
        ("seed = 1", "alpha = 0", "[gate] alpha: "),
        ("asr = 0.29", "asr = 1.2", "[limits] asr: "),
        ("asr = 0.29", "asr = -0.1", "[limits] asr: "),
        ("asr = 0.29", "rise = 0.06", "[limits] rise: expected at most 0.05, since it only keeps"),
    ],
)
def test_rates_outside_their_range(tmp_path: Path, old: str, new: str, line: str) -> None:
    said = complaint(tmp_path, replaced(old, new))
    assert said.startswith(line)
    assert "\n" not in said
