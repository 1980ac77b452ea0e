"""The reference has an entry for whatever a user can write, derived from the code that reads it."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import get_args

import click
import pytest
from pydantic import BaseModel

from safemlrm import fixtures, hookspecs, plugin
from safemlrm.attacks import BUILTIN
from safemlrm.cli import main
from safemlrm.config import Config, Model, model, schema
from safemlrm.config.messages import NOT_KEYS
from safemlrm.config.schema import Guard, JudgeTable
from safemlrm.config.values import Table
from safemlrm.limits import METRICS, Metric
from safemlrm.types import Verdict

ROOT = Path(__file__).parents[3]
REFERENCE = (ROOT / "docs/reference.md").read_text("utf-8")
TABLES = [
    table
    for table in {**vars(model), **vars(schema)}.values()
    if isinstance(table, type) and issubclass(table, Table) and table is not Table
]


class Parser:
    """Stands in for pytest's parser and keeps what the plugin adds."""

    def __init__(self) -> None:
        self.flags: list[str] = []
        self.keys: list[str] = []

    def getgroup(self, *_: object) -> Parser:
        """Return itself: groups make no difference here."""
        return self

    def addoption(self, flag: str, **_: object) -> None:
        """Keep a flag."""
        self.flags.append(flag)

    def addini(self, key: str, *_: object, **__: object) -> None:
        """Keep an ini key."""
        self.keys.append(key)


@pytest.fixture(scope="module")
def added() -> Parser:
    parser = Parser()
    plugin.pytest_addoption(parser)  # type: ignore[arg-type]  # a stand-in
    return parser


def test_every_flag_and_ini_key_is_documented(added: Parser) -> None:
    assert len(added.flags) >= 6
    assert [flag for flag in added.flags if f"`{flag}" not in REFERENCE] == []
    assert [key for key in added.keys if f"`{key}`" not in REFERENCE] == []


@pytest.mark.parametrize("table", TABLES, ids=lambda table: table.__name__)
def test_every_key_is_documented(table: type[BaseModel]) -> None:
    hidden = NOT_KEYS if table is Config else ()
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


def test_every_engine_judge_and_guard_is_documented() -> None:
    engines = get_args(Model.model_fields["engine"].annotation)
    judges = get_args(JudgeTable.model_fields["kind"].annotation)
    assert {"transformers", "scripted"} <= set(engines)
    assert {"rules", "jury"} <= set(judges)
    names = [*engines, *judges, *get_args(Guard)]
    assert [name for name in names if f'"{name}"' not in REFERENCE] == []


def test_every_marker_and_hook_is_documented() -> None:
    source = (ROOT / "plugins/safemlrm/plugin.py").read_text("utf-8")
    markers = set(re.findall(r'"(\w+)\([\w=, ]+\): ', source))
    hooks = [name for name in vars(hookspecs) if name.startswith("pytest_safemlrm_")]
    assert markers == {"safety", "gpu"}
    assert len(hooks) >= 2
    assert [name for name in markers if f"`@pytest.mark.{name}(" not in REFERENCE] == []
    assert [name for name in hooks if f"`{name}`" not in REFERENCE] == []


def test_every_extra_is_documented() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    section = REFERENCE.partition("## Extras\n")[2].partition("\n## ")[0]
    extras = project["optional-dependencies"].keys() - {"dev"}
    assert {extra for extra in extras if f"`{extra}`" not in section} == set()


def test_every_verdict_is_documented() -> None:
    assert [verdict for verdict in Verdict if verdict.value not in REFERENCE] == []


def commands(group: click.Group, path: str = "safemlrm") -> Iterator[tuple[str, click.Command]]:
    """Yield each command with the words it is called by."""
    for name, command in group.commands.items():
        if isinstance(command, click.Group):
            yield from commands(command, f"{path} {name}")
        else:
            yield f"{path} {name}", command


@pytest.mark.parametrize(("words", "command"), list(commands(main)), ids=str)
def test_every_command_is_documented_with_its_options(words: str, command: click.Command) -> None:
    rows = [line for line in REFERENCE.splitlines() if line.startswith(f"| `{words}")]
    assert rows, f"no row of the reference starts with `{words}"
    entry = "\n".join(rows)
    common = {"--config", "--profile", "--help"}  # what the line below the table speaks of
    options = [
        option.opts[0]
        for option in command.params
        if isinstance(option, click.Option) and option.opts[0] not in common
    ]
    assert [option for option in options if option not in entry] == []
