"""A defence is known by its source, options and weights, and is found without being imported."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from safemlrm.config import Defence, Model
from safemlrm.engines.defence import (
    BUILTIN,
    Placed,
    build_defence,
    defence_digest,
    place_of,
    source_digest,
)
from safemlrm.engines.identity import identity_of
from safemlrm.errors import ConfigError, EngineError

HOUSE = "raise SystemExit('a defence is imported where the model runs')\n"


@pytest.fixture
def house(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder on the import path with a module and a package, none of which may be imported here."""
    (tmp_path / "house.py").write_text(HOUSE, "utf-8")
    (tmp_path / "manor").mkdir()
    for name in ("__init__.py", "wing.py"):
        (tmp_path / "manor" / name).write_text(HOUSE, "utf-8")
    monkeypatch.syspath_prepend(tmp_path)
    yield tmp_path
    for name in ("house", "manor"):
        sys.modules.pop(name, None)


def placed(place: str = "house:Hush", **settings: Any) -> Placed:
    return Placed(kind="hush", place=place, **settings)


def test_the_name_alone_is_a_defence_without_weights_and_options() -> None:
    assert Model.model_validate({"defence": "hush"}).defence == Defence(kind="hush")


@pytest.mark.parametrize("wrong", [3, {"kind": "A b"}, {"kind": "a", "place": "house:Hush"}])
def test_a_table_that_is_no_defence_is_refused(wrong: object) -> None:
    with pytest.raises(ValidationError):
        Model.model_validate({"defence": wrong})


def test_each_part_is_in_the_digest(house: Path) -> None:
    weights = house / "head.bin"
    weights.write_bytes(b"1")
    seen = {
        defence_digest(defence, house)
        for defence in (
            placed(),
            placed("house:Other"),
            placed(options={"push": 1.0}),
            placed(options={"push": 2.0}),
            placed(weights="head.bin"),
            Defence(kind="hazard"),
        )
    }
    assert len(seen) == 6
    weights.write_bytes(b"2")
    assert defence_digest(placed(weights="head.bin"), house) not in seen
    (house / "house.py").write_text(HOUSE + "# mended\n", "utf-8")
    assert defence_digest(placed(), house) not in seen


def test_a_module_of_a_package_counts_with_all_of_it(house: Path) -> None:
    before = source_digest("manor:Hush")
    (house / "manor" / "wing.py").write_text("", "utf-8")
    assert source_digest("manor:Hush") != before
    assert "manor" not in sys.modules


def test_where_the_weights_lie_does_not_matter(house: Path) -> None:
    for name in ("here", "there"):
        (house / name).mkdir()
        (house / name / "head.bin").write_bytes(b"1")
    first, second = (
        defence_digest(placed(weights=f"{name}/head.bin"), house) for name in ("here", "there")
    )
    assert first == second


def test_it_is_part_of_the_identity_where_there_is_one(house: Path) -> None:
    plain = Model(path="organism:base")
    guarded = plain.model_copy(update={"defence": placed()})
    before, after = (identity_of("m", model, house) for model in (plain, guarded))
    assert {key for key in after.parts if before.parts.get(key) != after.parts[key]} == {"defence"}


@pytest.mark.parametrize(
    ("place", "line"),
    [
        ("nowhere:Hush", "no module 'nowhere' for 'nowhere:Hush'; expected \"module:attribute\""),
        ("house", "no module 'house' for 'house'; expected \"module:attribute\""),
        (":Hush", "no module '' for ':Hush'"),
        ("__main__:Hush", "no module '__main__' for '__main__:Hush'"),
    ],
)
def test_a_place_without_a_module_is_one_line(house: Path, place: str, line: str) -> None:
    with pytest.raises(ConfigError) as caught:
        source_digest(place)
    assert line in str(caught.value)
    assert "\n" not in str(caught.value)


def test_an_unknown_kind_is_named_with_what_there_is() -> None:
    with pytest.raises(ConfigError, match="'hasard' is not a defence; did you mean 'hazard'"):
        place_of(Defence(kind="hasard"))
    assert place_of(Defence(kind="hazard")) == BUILTIN["hazard"]


def test_missing_weights_are_named(house: Path) -> None:
    with pytest.raises(EngineError, match=r'weights = "no.bin": not there \(looked for .*no.bin\)'):
        defence_digest(placed(weights="no.bin"), house)
    with pytest.raises(ConfigError, match='weights = "organism:nobody": there is no such organism'):
        defence_digest(placed(weights="organism:nobody"), house)


@pytest.mark.parametrize(
    ("source", "line"),
    [
        ("1 / 0\n", r"'hush' \(house:Hush\) cannot be made: ZeroDivisionError: division by zero"),
        ("", r"cannot be made: AttributeError: module 'house' has no attribute 'Hush'"),
        ("Hush = lambda n, t, w: 3\n", r"has no rescore\(scores, hidden, ids\)"),
        ("def Hush(n, t, w): ...\n", r"cannot be made: TypeError: .*unexpected keyword .*'push'"),
    ],
    ids=["raises", "absent", "object", "option"],
)
def test_what_cannot_be_made_is_one_line(house: Path, source: str, line: str) -> None:
    shutil.rmtree(house / "__pycache__", ignore_errors=True)
    (house / "house.py").write_text(source, "utf-8")
    options = {"push": 1.0} if "def" in source else {}
    with pytest.raises(EngineError, match=line):
        build_defence(placed(options=options), house, None, None)
