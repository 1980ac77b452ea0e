"""The reference has an entry for each flag, table, key, metric, attack and fixture."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from pydantic import BaseModel

from safemlrm import fixtures
from safemlrm.attacks import BUILTIN
from safemlrm.cli import main
from safemlrm.config import Config, model, schema
from safemlrm.config.values import Table
from safemlrm.limits import METRICS, Metric

ROOT = Path(__file__).parents[3]
REFERENCE = (ROOT / "docs/reference.md").read_text("utf-8")
TABLES = [
    table
    for table in {**vars(model), **vars(schema)}.values()
    if isinstance(table, type) and issubclass(table, Table) and table is not Table
]


def test_every_flag_is_documented() -> None:
    source = (ROOT / "plugins/safemlrm/plugin.py").read_text("utf-8")
    flags = re.findall(r'"(--safety-[a-z]+)"', source)
    assert len(flags) >= 5
    assert [flag for flag in flags if f"`{flag}" not in REFERENCE] == []


@pytest.mark.parametrize("table", TABLES, ids=lambda table: table.__name__)
def test_every_key_is_documented(table: type[BaseModel]) -> None:
    hidden = {"file", "profile"} if table is Config else set()
    keys = [key for key in table.model_fields if key not in hidden]
    missing = [
        key
        for key in keys
        if not re.search(rf"`(\[\[?|)?{key}\b|{key} *=|\[{key}|\.{key}\]", REFERENCE)
    ]
    assert missing == []


@pytest.mark.parametrize("metric", METRICS, ids=lambda metric: metric.name)
def test_every_metric_is_documented(metric: Metric) -> None:
    assert f"`{metric.name}`" in REFERENCE


def test_every_attack_and_fixture_is_documented() -> None:
    names = [*BUILTIN, "evaluation", "tier", "gate", "gpu"]
    assert all(hasattr(fixtures, name) for name in names[len(BUILTIN) :])
    assert [name for name in names if f"`{name}`" not in REFERENCE] == []


def test_every_command_is_documented() -> None:
    assert [name for name in main.commands if f"`safemlrm {name}" not in REFERENCE] == []
