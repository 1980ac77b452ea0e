"""What `pytest_safemlrm_defences` returned reaches the models of a configuration."""

from __future__ import annotations

from pathlib import Path

import pytest

from safemlrm.config import Config, load_config
from safemlrm.engines.defence import Placed
from safemlrm.errors import ConfigError
from safemlrm.extension import NONE, Extensions, defended

TOML = """
[models.plain]
path = "organism:base"
[models.guarded]
path = "organism:base"
defence = { kind = "quiet", options = { push = 3 } }
[pairs.p]
base = "plain"
candidate = "guarded"
change = "defence"
[scenarios.fraud]
[attacks.direct]
[limits]
asr = 0.1
"""


@pytest.fixture
def config(tmp_path: Path) -> Config:
    file = tmp_path / "safety.toml"
    file.write_text(TOML, "utf-8")
    return load_config(file)


def test_a_model_learns_where_its_defence_lies(config: Config) -> None:
    models = defended(config, Extensions(defences={"quiet": "json:Quiet"})).models
    assert models["plain"] == config.models["plain"]
    assert models["guarded"].defence == Placed(
        kind="quiet", options={"push": 3}, place="json:Quiet"
    )
    # The settings a store keeps do not depend on who reads them.
    assert models["guarded"].model_dump_json() == config.models["guarded"].model_dump_json()


def test_a_kind_that_nobody_gives_is_a_mistake_of_the_file(config: Config) -> None:
    with pytest.raises(ConfigError) as caught:
        defended(config, NONE)
    assert "safety.toml: [models.guarded] defence: 'quiet' is not a defence" in str(caught.value)
    assert "pytest_safemlrm_defences of a conftest.py" in str(caught.value)
