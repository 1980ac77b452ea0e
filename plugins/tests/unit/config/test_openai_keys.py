"""What safety.toml may say of a model behind a server, and how it is told of mistakes."""

from __future__ import annotations

from pathlib import Path

import pytest

from safemlrm.config import load_config
from safemlrm.errors import ConfigError

TOML = """
[models.m]
engine = "openai"
url = "http://localhost:8000/v1"
model = "tiny"
{more}
[pairs.r1]
candidate = "m"
[scenarios.fraud]
[attacks.direct]
"""
MARKS = "reasoning = {}\n"


def complaint(folder: Path, more: str, old: str = "", new: str = "") -> str:
    file = folder / "safety.toml"
    file.write_text(TOML.format(more=more).replace(old, new, 1), "utf-8")
    with pytest.raises(ConfigError) as caught:
        load_config(file)
    return str(caught.value).removeprefix(f"{file}: ")


def test_one_address_or_several(tmp_path: Path) -> None:
    file = tmp_path / "safety.toml"
    file.write_text(TOML.format(more=""), "utf-8")
    [address] = load_config(file).models["m"].url or ()
    assert address.shown == "http://localhost:8000/v1"
    several = TOML.replace('"http://localhost:8000/v1"', '["http://a/v1", "http://b/v1"]')
    file.write_text(several.format(more=""), "utf-8")
    assert [url.name for url in load_config(file).models["m"].url or ()] == [
        "http://a/v1",
        "http://b/v1",
    ]


@pytest.mark.parametrize(
    ("old", "new", "line"),
    [
        (
            '"http://localhost:8000/v1"',
            '"localhost:8000"',
            "[models.m] url: expected addresses such as http://localhost:8000/v1",
        ),
        (
            '"http://localhost:8000/v1"',
            '["http://a/v1", "http://a/v1/"]',
            "[models.m] url lists an address twice; list it once",
        ),
        ('url = "http://localhost:8000/v1"', "", '[models.m] engine = "openai" needs url'),
        ('"http://localhost:8000/v1"', "[]", "[models.m] url: expected an address, or a list"),
        ('model = "tiny"', "", '[models.m] engine = "openai" needs model'),
    ],
)
def test_addresses_are_checked(tmp_path: Path, old: str, new: str, line: str) -> None:
    assert complaint(tmp_path, "", old, new).startswith(line)


@pytest.mark.parametrize(
    ("more", "line"),
    [
        ('key_env = "sk-abc"', "[models.m] key_env: expected the name of an environment variable"),
        (f'{MARKS}thinking = "zero"', '[models.m] thinking = "zero" begins the model\'s turn'),
        (
            f'{MARKS}thinking = "more"\ncontinue_turn = true',
            '[models.m] thinking = "more" needs a model on this machine',
        ),
        ("timeout = 0", "[models.m] timeout: "),
        ("connections = 0", "[models.m] connections: "),
    ],
)
def test_keys_are_checked(tmp_path: Path, more: str, line: str) -> None:
    found = complaint(tmp_path, more)
    assert found.startswith(line)
    assert "sk-abc" not in found


def test_a_server_that_goes_on_with_a_turn_takes_a_thinking_mode(tmp_path: Path) -> None:
    file = tmp_path / "safety.toml"
    file.write_text(TOML.format(more=f'{MARKS}thinking = "less"\ncontinue_turn = true'), "utf-8")
    assert load_config(file).models["m"].continue_turn


def test_its_keys_are_refused_elsewhere(tmp_path: Path) -> None:
    found = complaint(tmp_path, "", 'engine = "openai"', 'engine = "scripted"')
    assert '[models.m] url belongs to engine = "openai", not to "scripted"; leave it out' in found
