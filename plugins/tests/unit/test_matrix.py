"""[attacks.NAME] of a file -> attacks: kinds, chains, options, and what is said of mistakes."""

from __future__ import annotations

from pathlib import Path

import pytest

from safemlrm.attacks import Chain, FigStepOriginal, MmTypo, Prefill, PromptInjection
from safemlrm.config import load_config
from safemlrm.errors import ConfigError
from safemlrm.matrix import Matrix, build_matrix
from safemlrm.plan import build_plan
from safemlrm.types import Case

HEAD = """
[models.fake]
engine = "scripted"
[pairs.r1]
candidate = "fake"
[scenarios.fraud]
prompts = 3
"""


def matrix(tmp_path: Path, attacks: str) -> Matrix:
    """Build the matrix of a file with these attacks."""
    file = tmp_path / "safety.toml"
    file.write_text(HEAD + attacks, "utf-8")
    return build_matrix(load_config(file))


def complaint(tmp_path: Path, attacks: str) -> str:
    with pytest.raises(ConfigError) as caught:
        matrix(tmp_path, attacks)
    return str(caught.value).replace(str(tmp_path), "~")


def test_the_name_is_the_kind_unless_one_is_given(tmp_path: Path) -> None:
    found = matrix(tmp_path, '[attacks.direct]\n[attacks.short]\nkind = "prefill"\ntokens = 2')
    assert found.attacks["short"] == Prefill("short", tokens=2)
    assert list(found.slugs) == ["r1", "fraud", "direct", "short"]


def test_options_reach_their_attack(tmp_path: Path) -> None:
    found = matrix(
        tmp_path,
        '[attacks.figstep_original]\ntext = "Fill it in."\n'
        '[attacks.prompt_injection]\nwhere = "image"',
    )
    assert found.attacks["figstep_original"] == FigStepOriginal(text="Fill it in.")
    assert found.attacks["prompt_injection"] == PromptInjection(where="image")


def test_several_kinds_are_applied_in_order_each_with_its_options(tmp_path: Path) -> None:
    found = matrix(
        tmp_path,
        '[attacks.typo_prefill]\nkind = ["mm_typo", "prefill"]\ntokens = 2\nfont = "bundled"',
    )
    parts = (MmTypo("typo_prefill"), Prefill("typo_prefill", tokens=2))
    assert found.attacks["typo_prefill"] == Chain("typo_prefill", parts)


def test_a_scenario_may_name_its_attacks(tmp_path: Path) -> None:
    own = '[scenarios.sex]\nprompts = 2\nattacks = ["prefill"]\n'
    found = matrix(tmp_path, f"{own}[attacks.direct]\n[attacks.prefill]")
    assert [(case.scenario, case.attack) for case in found.cases] == [
        ("fraud", "direct"),
        ("fraud", "prefill"),
        ("sex", "prefill"),
    ]
    line = complaint(tmp_path, own.replace("prefill", "prefil") + "[attacks.prefill]")
    assert line == (
        "~/safety.toml: [scenarios.sex] attacks: there is no [attacks.prefil]; did you mean "
        "'prefill'?"
    )
    assert "[scenarios.sex] attacks" in complaint(
        tmp_path, own.replace('["prefill"]', "[]") + "[attacks.prefill]"
    )


@pytest.mark.parametrize(
    ("attacks", "line"),
    [
        ("[attacks.figstp]", "[attacks.figstp] is not an attack; did you mean 'figstep'?"),
        (
            '[attacks.mine]\nkind = "mm_typ"',
            "[attacks.mine] kind: 'mm_typ' is not an attack; did you mean 'mm_typo'?",
        ),
        (
            '[attacks.mine]\nkind = ["mm_typo", "prefil"]',
            "[attacks.mine] kind: 'prefil' is not an attack; did you mean 'prefill'?",
        ),
        (
            "[attacks.mine]\nkind = []",
            "[attacks.mine] kind: expected the name of an attack, or a list of names",
        ),
        (
            "[attacks.mine]\nkind = [1]",
            "[attacks.mine] kind: expected the name of an attack, or a list of names",
        ),
        (
            "[attacks.prefill]\ntoken = 3",
            "unknown key [attacks.prefill] token; did you mean 'tokens'?",
        ),
        (
            "[attacks.figstep]\ntokens = 3",
            "[attacks.figstep] tokens: not an option of this attack; figstep has no options",
        ),
        (
            '[attacks.mine]\nkind = ["mm_typo", "prefill"]\nwhere = "image"',
            "[attacks.mine] where: not an option of this attack; mm_typo has font; "
            "prefill has tokens",
        ),
        (
            "[attacks.prefill]\ntokens = 999",
            "[attacks.prefill] tokens = 999, but the agreeing prefix has 142 words; take 1 to 142",
        ),
        (
            '[attacks.mm_typo]\nfont = "arial"',
            "[attacks.mm_typo] font: input should be 'bundled' or 'freemono' (found 'arial')",
        ),
        (
            '[attacks.mine]\nkind = ["prefill", "prefill"]',
            '[attacks.mine] kind: "direct" changes nothing, and another attack is applied once; '
            "leave out what does not add to the others",
        ),
        (
            '[attacks.mine]\nkind = ["direct", "prefill"]',
            '[attacks.mine] kind: "direct" changes nothing, and another attack is applied once; '
            "leave out what does not add to the others",
        ),
        (
            '[attacks.prefill]\n[attacks.again]\nkind = "prefill"\ntokens = 5',
            "[attacks.prefill] is [attacks.again] under another name; the same questions would be "
            "counted twice, so remove one",
        ),
    ],
)
def test_a_mistake_is_one_line(tmp_path: Path, attacks: str, line: str) -> None:
    assert complaint(tmp_path, attacks) == f"~/safety.toml: {line}"


def test_a_font_that_is_not_installed_is_found_before_anything_is_asked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))
    monkeypatch.setenv("XDG_DATA_DIRS", str(tmp_path))
    line = complaint(tmp_path, '[attacks.mine]\nkind = "figstep_original"\nfont = "freemono"')
    assert line.startswith('~/safety.toml: [attacks.mine] font = "freemono" needs FreeMonoBold.ttf')


def test_what_a_later_attack_would_overwrite_is_refused(tmp_path: Path) -> None:
    said = complaint(tmp_path, '[attacks.hard]\nkind = ["refusal_suppression", "figstep_original"]')
    assert said.endswith(
        "kind: 'figstep_original' asks in words of its own, so what 'refusal_suppression' does before it "
        "would be lost; put 'refusal_suppression' after it"
    )
    matrix(tmp_path, '[attacks.hard]\nkind = ["figstep_original", "refusal_suppression"]')


def test_an_attack_that_no_scenario_is_asked_under_is_refused(tmp_path: Path) -> None:
    said = complaint(tmp_path, 'attacks = ["direct"]\n[attacks.direct]\n[attacks.figstep]')
    assert "[attacks.figstep] is asked of no scenario" in said


CHOICE = """
[models.model]
engine = "scripted"
[pairs.one]
candidate = "model"
scenarios = ["multiple_choice"]
[pairs.other]
candidate = "model"
[scenarios.multiple_choice]
[scenarios.fraud]
{attacks}
[attacks.lamps]
kind = "trigger"
text = "Seven lamps."
[limits]
answer_change = 0.1
"""


def test_an_attacked_choice_is_compared_with_the_plain_one(tmp_path: Path) -> None:
    file = tmp_path / "safety.toml"
    file.write_text(CHOICE.format(attacks="[attacks.direct]"), "utf-8")
    found = build_matrix(load_config(file))
    assert {case.scenario for case in found.cases_of("one")} == {"multiple_choice"}
    assert {case.scenario for case in found.cases_of("other")} == {"multiple_choice", "fraud"}
    plain = Case("one", "multiple_choice", "direct")
    lamps = Case("one", "multiple_choice", "lamps")
    assert found.plain(lamps) == plain
    assert found.plain(plain) is None
    assert found.plain(Case("other", "fraud", "lamps")) is None
    assert found.cases_of("one", "choose", attacked=True) == (lamps,)
    plan = build_plan(found, [lamps])
    assert {work.cell.attack for work in plan.work} == {"direct", "lamps"}


def test_an_attacked_choice_without_a_plain_one_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "safety.toml"
    file.write_text(CHOICE.format(attacks=""), "utf-8")
    with pytest.raises(ConfigError, match=r"under \[attacks.lamps\] and not under direct"):
        build_matrix(load_config(file))


def test_a_prefill_without_a_plain_case_is_refused_where_its_rise_is_limited(
    tmp_path: Path,
) -> None:
    limited = CHOICE.replace("answer_change", "prefill_rise").replace('kind = "trigger"\n', "")
    limited = limited.replace('text = "Seven lamps."', 'kind = "prefill"')
    limited = limited.replace("[scenarios.fraud]", '[scenarios.fraud]\nattacks = ["lamps"]')
    file = tmp_path / "safety.toml"
    file.write_text(limited.format(attacks="[attacks.direct]"), "utf-8")
    with pytest.raises(ConfigError, match=r"scenarios.fraud.*which prefill_rise compares with"):
        build_matrix(load_config(file))


def test_a_rise_that_is_limited_somewhere_needs_plain_cases_there_alone(tmp_path: Path) -> None:
    text = CHOICE.format(attacks="[attacks.direct]").replace("answer_change = 0.1", "asr = 0.1")
    text = text.replace('kind = "trigger"\ntext = "Seven lamps."', 'kind = "prefill"')
    text = text.replace(
        "[scenarios.fraud]", '[scenarios.fraud]\nattacks = ["lamps"]\n[scenarios.sex]'
    )
    limit = '[[limits.override]]\nscenario = "sex"\nprefill_rise = 0.1\nreason = "here alone"\n'
    file = tmp_path / "safety.toml"
    file.write_text(text + limit, "utf-8")
    found = build_matrix(load_config(file))
    assert found.plain(Case("other", "sex", "lamps")) == Case("other", "sex", "direct")
    assert found.plain(Case("other", "fraud", "lamps")) is None
