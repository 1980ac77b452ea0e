"""What the documentation shows is true: its projects run, its tables load, its links lead somewhere."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest

from fixtures.documents import PAGES, ROOT, Block, blocks, commands, follow, projects
from safemlrm.config import load_config
from safemlrm.config.load import overlay

REST = """
[models.base]
engine = "scripted"
[models.candidate]
engine = "scripted"
reasoning = {}
[pairs.r1]
base = "base"
candidate = "candidate"
[scenarios.fraud]
[attacks.direct]
"""
"""What a piece of a safety.toml may take for granted."""
PROJECTS = [
    pytest.param(found, id=f"{page.stem}-{name}", marks=[pytest.mark.slow] if found[0].slow else [])
    for page in PAGES
    for name, found in projects(page).items()
]
TABLES = [block for page in PAGES for block in blocks(page) if block.language == "toml"]
PYTHON = [block for page in PAGES for block in blocks(page) if block.language == "python"]


@pytest.mark.parametrize("project", PROJECTS)
def test_a_project_does_what_the_page_says(
    project: list[Block], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Which line a run shows is no matter of chance, and columns are those of the page.
    monkeypatch.setenv("PYTEST_ADDOPTS", "-p no:randomly -p no:hypothesispytest -p no:anyio")
    monkeypatch.setenv("COLUMNS", "120")
    assert any(block.language == "console" for block in project), "nothing would be run"
    for block in project:
        follow(block, tmp_path)


@pytest.mark.parametrize("block", TABLES, ids=str)
def test_a_piece_of_safety_toml_loads(block: Block, tmp_path: Path) -> None:
    tables = tomllib.loads(block.text)
    rest = tomllib.loads(REST)
    models, pairs = tables.get("models", {}), tables.get("pairs", {})
    rest["models"] = {name: table for name, table in rest["models"].items() if name not in models}
    if pairs:
        rest["pairs"] = {}
    elif models:
        rest["pairs"] = {"r1": {"candidate": next(iter(models))}}
    file = tmp_path / "safety.toml"
    file.write_text(_written(overlay(rest, tables)), "utf-8")
    for profile in (None, *tables.get("profiles", {})):
        load_config(file, profile)


def _written(table: dict[str, object]) -> str:
    """Return tables as TOML, each on one line."""
    return "".join(f"{_key(key)} = {_value(value)}\n" for key, value in table.items())


def _key(key: str) -> str:
    return f'"{key}"'


def _value(value: object) -> str:
    if isinstance(value, dict):
        return "{" + ", ".join(f"{_key(key)} = {_value(each)}" for key, each in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(map(_value, value)) + "]"
    if isinstance(value, bool):
        return str(value).lower()
    return f"'''{value}'''" if isinstance(value, str) else str(value)


@pytest.mark.parametrize("block", PYTHON, ids=str)
def test_python_is_python(block: Block) -> None:
    compile(block.text, str(block), "exec")


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_somewhere(page: Path) -> None:
    text = page.read_text("utf-8")
    for target in re.findall(r"\]\((?!https?:)([^)\s]+)\)", text):
        name, _, anchor = target.partition("#")
        file = (page.parent / name).resolve() if name else page
        assert file.exists(), target
        assert file.is_relative_to(ROOT), target
        if anchor:
            assert anchor in _anchors(file.read_text("utf-8")), target


def _anchors(text: str) -> set[str]:
    titles = re.findall(r"^#+ (.+)$", text, re.MULTILINE)
    return {re.sub(r"[^\w -]", "", title.lower()).replace(" ", "-") for title in titles}


def test_a_command_is_read_as_it_is_typed() -> None:
    [first, second] = commands("$ pytest -m x   # exit code 1\nFAIL ...\n$ ls    # a note\n")
    assert (first.line, first.code, first.shown) == ("pytest -m x", 1, ("FAIL ...",))
    assert (second.line, second.code, second.shown) == ("ls", 0, ())
