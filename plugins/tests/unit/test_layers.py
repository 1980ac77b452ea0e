"""Imports go downwards only, siblings are blind to one another, and heavy packages come late."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import safemlrm

PACKAGE = Path(safemlrm.__file__).parent
LAYERS = [
    {"types", "errors"},
    {"choice"},
    {"config"},
    {
        "prompts",
        "attacks",
        "engines",
        "responses",
        "judges",
        "metrics",
        "organisms",
        "budget",
        "draws",
    },
    {"extension"},
    {"limits"},
    {"matrix"},
    {"family", "evidence"},
    {"clusters", "published", "channels"},
    {"plan", "decision", "stopping"},
    {"rounds", "confirm", "judging"},
    {"canary"},
    {"ruling"},
    {"picture", "baselines", "tune", "audit"},
    {"reading"},
    {"watch", "preflight", "court"},
    {"measure", "verdict", "imports"},
    {"reporting"},
    {"release"},
    {"compare"},
    {
        "state",
        "collection",
        "session",
        "fixtures",
        "plugin",
        "hookspecs",
        "cli",
        "starter",
        "__init__",
    },
]
# One layer whose modules see one another: they are the pytest side, wired together.
OPEN = LAYERS[-1]
HEAVY = {"torch", "transformers", "datasets", "PIL", "scipy", "numpy", "pydantic", "filelock"}


def top(module: str) -> str:
    """Return the first name below the package: safemlrm.metrics.rates -> metrics."""
    return module.split(".")[1] if "." in module else "__init__"


def layer(name: str) -> int:
    return next(depth for depth, names in enumerate(LAYERS) if name in names)


def imports(file: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(file.read_text("utf-8"))):
        if isinstance(node, ast.ImportFrom) and node.module:
            yield node.module
        elif isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)


MODULES = sorted(PACKAGE.rglob("*.py"))


@pytest.mark.parametrize("file", MODULES, ids=lambda f: f.relative_to(PACKAGE).as_posix())
def test_imports_go_downwards(file: Path) -> None:
    own = file.relative_to(PACKAGE).parts[0].removesuffix(".py")
    if own == "state":
        return  # holds typed keys of what lies above it, imported for type checking only
    for module in imports(file):
        if not module.startswith("safemlrm"):
            continue
        other = top(module)
        allowed = other == own or layer(other) < layer(own) or {own, other} <= OPEN
        assert allowed or {own, other} == {"types", "errors"}, f"{own} imports {module}"


@pytest.mark.parametrize("file", MODULES, ids=lambda f: f.relative_to(PACKAGE).as_posix())
def test_nothing_below_reporting_imports_pytest(file: Path) -> None:
    own = file.relative_to(PACKAGE).parts[0].removesuffix(".py")
    if layer(own) < layer("reporting"):
        assert not [name for name in imports(file) if name.split(".")[0] in ("pytest", "_pytest")]


def test_a_pytest_run_without_safety_toml_imports_nothing_heavy(tmp_path: Path) -> None:
    (tmp_path / "test_it.py").write_text("def test_it(): pass\n", "utf-8")
    code = (
        "import sys, pytest\n"
        "assert pytest.main(['-q', '-p', 'no:cacheprovider', '-p', 'safemlrm.plugin']) == 0\n"
        f"print('HEAVY', sorted(set(sys.modules) & {HEAVY!r}))\n"
    )
    environment = {"PYTHONPATH": str(PACKAGE.parent), "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.splitlines()[-1] == "HEAVY []"
