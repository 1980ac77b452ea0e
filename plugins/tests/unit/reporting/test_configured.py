"""Reports name a model's weights as the configuration does, and neither addresses nor whole paths."""

from __future__ import annotations

from pathlib import Path

import pytest

from fixtures.projects import safety_toml
from safemlrm.config import load_config
from safemlrm.reporting.configured import weights_of

OPENAI = 'engine = "openai"\nurl = "http://user:secret@127.0.0.1:1/v1"\n'


@pytest.mark.parametrize(
    ("table", "shown"),
    [
        ('path = "organism:base"', "organism:base"),
        ('path = "org/model"\nrevision = "abc123"', "org/model@abc123"),
        ('path = "../runs/7/step-500"', "../runs/7/step-500"),
        ('path = "/home/ann/runs/7/step-500"', ".../7/step-500"),
        ('path = "/model"', ".../model"),
        ('path = "org/model"\nrevision = "v1"\nadapter = "./lora"', "./lora on org/model@v1"),
        ('path = "/a/b/base"\nadapter = "/home/ann/lora/9"', ".../lora/9 on .../b/base"),
        ('path = "a\\u001b[2Jb"', "a\\x1b[2Jb"),
        (f'{OPENAI}model = "gpt-served"', "gpt-served"),
        (f'{OPENAI}model = "/models/run/9"', "/models/run/9"),
        ('engine = "scripted"', None),
    ],
)
def test_weights_are_named_as_configured(tmp_path: Path, table: str, shown: str | None) -> None:
    file = tmp_path / "safety.toml"
    file.write_text(safety_toml().replace('engine = "scripted"\nbatch_size = 64\n', f"{table}\n"))
    text = file.read_text("utf-8").replace("script = {  }\n", "" if shown else "script = {}\n")
    file.write_text(text, "utf-8")
    assert weights_of(load_config(file)).get("candidate") == shown
