"""A project with one scenario, loaded or refused with one line."""

from __future__ import annotations

from collections.abc import Callable
from io import BytesIO
from pathlib import Path

import pytest
from PIL import Image

from safemlrm.config import load_config
from safemlrm.errors import ConfigError
from safemlrm.prompts import Scenario, load_scenario

Load = Callable[..., Scenario]
Refused = Callable[..., str]
SECRET = "marzipan"
"""A word of texts that no message may show."""


@pytest.fixture
def load(tmp_path: Path) -> Load:
    """Load [scenarios.SLUG] with these keys, written in TOML."""

    def loaded(keys: str, slug: str = "fraud") -> Scenario:
        file = tmp_path / "safety.toml"
        file.write_text(
            '[models.m]\nengine = "scripted"\n[pairs.p]\ncandidate = "m"\n[attacks.direct]\n'
            f"[scenarios.{slug}]\n{keys}\n",
            "utf-8",
        )
        return load_scenario(load_config(file), slug)

    return loaded


@pytest.fixture
def refused(load: Load, tmp_path: Path) -> Refused:
    """Return the one line that says why a scenario is refused, without the folders' names."""

    def complaint(keys: str, slug: str = "fraud") -> str:
        with pytest.raises(ConfigError) as caught:
            load(keys, slug)
        line = str(caught.value)
        assert "\n" not in line
        assert SECRET not in line
        start = f"{tmp_path / 'safety.toml'}: [scenarios.{slug}] "
        assert line.startswith(start)
        return line.removeprefix(start).replace(str(tmp_path), "DIR")

    return complaint


def picture(kind: str = "PNG", colour: str = "white") -> bytes:
    """Return a small encoded picture."""
    buffer = BytesIO()
    Image.new("RGB", (6, 4), colour).save(buffer, kind)
    return buffer.getvalue()


@pytest.fixture
def png() -> bytes:
    return picture()


@pytest.fixture
def webp() -> bytes:
    return picture("WEBP")


@pytest.fixture
def jpeg() -> bytes:
    return picture("JPEG")
