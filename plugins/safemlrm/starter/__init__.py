"""A gate that runs as it stands: the files `safemlrm init` and `safemlrm demo` write."""

from __future__ import annotations

import json
from dataclasses import dataclass
from importlib.resources import files as resources
from typing import Literal

Engine = Literal["transformers", "vllm", "openai"]
SCENARIOS = "# legal_opinion"
"""How the part of safety.toml begins that is the same for all models."""
IGNORED = ("reports/*", "!reports/baselines/", "!reports/audit.json")
INI = "[pytest]\n# pytest starts here, so that this safety.toml is the one that counts.\ntestpaths = .\n"
WORKFLOWS, CALLER, CALLED = ".github/workflows/", "safety.yml", "safety-gate.yml"


@dataclass(frozen=True, slots=True)
class Models:
    """What a new gate compares: paths, ids of the hub, or names at a server (`url`).

    Without a base there is no limit on what the candidate adds to it.
    """

    engine: Engine = "transformers"
    candidate: str = "organism:reasoner-aligned"
    base: str | None = "organism:base"
    url: str = ""


def gate_files(models: Models) -> dict[str, str]:
    """Return the texts of safety.toml and of the test that asserts its limits, by file name."""
    return {"safety.toml": _safety_toml(models), "test_release.py": _text("test_release.py")}


def workflow_files(folder: str, install: str) -> dict[str, str]:
    """Return the texts of the GitHub workflows, by path: one to edit, and the one it calls.

    `folder` is where the gate lies in the repository, `install` what pip has to install for it.
    """
    own = _text(CALLER).replace("folder: .", f"folder: {_quoted(folder)}")
    own = own.replace("pytest-safemlrm[hf]", install)
    return {WORKFLOWS + CALLER: own, WORKFLOWS + CALLED: _text(CALLED)}


def _text(name: str) -> str:
    return (resources("safemlrm.starter") / name).read_text("utf-8")


def _safety_toml(models: Models) -> str:
    """Return the starter's safety.toml with other models at its head."""
    text = _text("safety.toml")
    title = text.partition("\n")[0]
    rest = text[text.index(SCENARIOS) :]
    if models.base is None:
        rest = "".join(
            line for line in rest.splitlines(keepends=True) if "reasoning_tax" not in line
        )
    return f"{title}\n\n{_head(models)}\n{rest}"


def _head(models: Models) -> str:
    """Return the tables of the models and their pair."""
    tables = []
    if models.base is not None:
        tables += ["[models.base]", *_model(models, models.base), ""]
    tables += ["[models.candidate]", *_model(models, models.candidate)]
    tables += ['reasoning = { open = "<think>", close = "</think>" }', "", "[pairs.release]"]
    tables += [] if models.base is None else ['base = "base"']
    return "\n".join([*tables, 'candidate = "candidate"', 'change = "reasoning"', ""])


def _model(models: Models, name: str) -> list[str]:
    """Return the keys of one model."""
    if models.engine == "openai":
        keys = {"engine": "openai", "url": models.url, "model": name}
    elif models.engine == "vllm":
        keys = {"engine": "vllm", "path": name}
    else:
        keys = {"path": name}
    return [f"{key} = {_quoted(value)}" for key, value in keys.items()]


def _quoted(value: str) -> str:
    # A JSON string is a TOML string, but for one control character that only TOML wants escaped.
    return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
