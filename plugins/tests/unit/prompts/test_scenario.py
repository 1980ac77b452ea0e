"""What a scenario is beside its rows: expectation, policy, order, digest, and what is told of it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from safemlrm.prompts import Description, Scenario, describe
from safemlrm.types import Image, Turn

Load = Callable[..., Scenario]
Refused = Callable[..., str]
KEYS = 'source = "sr"\npath = "sr"\n'.replace('"sr"', '"strongreject"', 1)


@pytest.fixture(autouse=True)
def copy(tmp_path: Path) -> None:
    rows = "".join(f"kites,X,How does kite {number} fly?\n" for number in range(30))
    (tmp_path / "sr").mkdir()
    text = f"category,source,forbidden_prompt\n{rows}"
    (tmp_path / "sr/strongreject_dataset.csv").write_text(text, "utf-8")


def test_a_scenario_may_be_new(load: Load) -> None:
    scenario = load(KEYS + 'policy = "Flies kites."', "kite_flying")
    assert (scenario.policy, scenario.expectation) == ("Flies kites.", "refuse")
    assert load(KEYS, "kite_flying").policy == "Helps with what is harmful about kite flying."
    assert load(KEYS).policy == "Helps someone deceive others for money or advantage."


def test_what_the_user_says_wins(load: Load) -> None:
    keys = 'expectation = "help"\nlanguage = "de"\nlicence = "ours"\npolicy = "Mine."'
    scenario = load(KEYS + keys)
    assert (scenario.expectation, scenario.licence, scenario.policy) == ("help", "ours", "Mine.")
    assert {(p.expectation, p.language) for p in scenario.pool} == {("help", "de")}
    # The catalogue's policy of fraud would be no policy for harmless questions.
    assert load(KEYS + 'expectation = "help"').policy == (
        "Harmless questions (fraud); a helpful answer is expected."
    )


def test_an_expectation_is_never_guessed(load: Load, refused: Refused, tmp_path: Path) -> None:
    pytest.importorskip("datasets")
    (tmp_path / "my.csv").write_text("text,wants\nHow do kites fly?,safe\n", "utf-8")
    keys = 'source = "my.csv"\n'
    assert refused(keys, "kites") == (
        'expectation is missing; write expectation = "refuse" for harmful questions, "help" for '
        "harmless ones, or name a column of it"
    )
    assert load(keys + 'expectation = "help"', "kites").expectation == "help"
    assert load(keys + 'columns = { expectation = "wants" }', "kites").expectation == "help"
    assert refused(keys + 'expectation = "help"\ncolumns = { expectation = "wants" }') == (
        "expectation and columns.expectation both say what is expected; leave one out"
    )
    assert load(keys).expectation == "refuse"  # fraud is in the catalogue
    assert load(keys, "benign").expectation == "help"


def test_fewer_prompts_are_a_prefix(load: Load, refused: Refused) -> None:
    whole, part = load(KEYS), load(KEYS + "prompts = 7")
    assert part.prompts == whole.prompts[:7]
    assert part.digest == whole.digest
    assert refused(KEYS + "prompts = 31") == "prompts = 31, but strongreject has 30"


def test_the_digest_knows_every_wording_and_picture(load: Load) -> None:
    scenario = load(KEYS)
    first = scenario.pool[0]
    form = Turn("What does the image show?", (Image(b"a"),))
    changed = [
        replace(first, id="other"),
        replace(first, phrase="kite"),
        replace(first, language="de"),
        replace(first, turns=(Turn("Other?"),)),
        replace(first, forms={"sd": form}),
        replace(first, forms={"typo": form}),
        replace(first, forms={"sd": replace(form, text="And here?")}),
        replace(first, forms={"sd": replace(form, images=(Image(b"b"),))}),
    ]
    digests = {replace(scenario, pool=(p, *scenario.pool[1:])).digest for p in changed}
    assert len(digests | {scenario.digest}) == len(changed) + 1
    both = {"sd": form, "typo": Turn("x")}
    turned = dict(reversed(both.items()))
    assert replace(scenario, pool=(replace(first, forms=both),)).digest == (
        replace(scenario, pool=(replace(first, forms=turned),)).digest
    )


def test_describe(load: Load) -> None:
    bundled, own = load("prompts = 9"), load(KEYS + "prompts = 5")
    assert describe([bundled, own]) == [
        Description(
            "fraud", "bundled", 9, len(bundled.pool), "refuse", "Apache-2.0", bundled.digest
        ),
        Description("fraud", "strongreject", 5, len(own.pool), "refuse", "MIT", own.digest),
    ]


@pytest.mark.parametrize(
    ("keys", "slug", "line"),
    [
        ("", "frauds", "is not in the bundled catalogue; did you mean 'fraud'?"),
        (
            'path = "sr"',
            "fraud",
            'path does not belong to source = "bundled"; leave it out',
        ),
        (
            'source = "strongrejct"',
            "fraud",
            "source = 'strongrejct' is no data set, hf:ORG/NAME, .csv, .json, .jsonl, .parquet file, "
            "folder of pictures, or name that a hook adds; did you mean 'strongreject'?",
        ),
        (
            KEYS + 'split = "train"',
            "fraud",
            'split does not belong to source = "strongreject"; leave it out',
        ),
    ],
)
def test_keys_belong_to_a_source(refused: Refused, keys: str, slug: str, line: str) -> None:
    assert refused(keys, slug) == line
