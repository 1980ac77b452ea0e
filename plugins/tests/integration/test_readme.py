"""The README's ten lines, run as they stand on real models in a folder of their own."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import pytest

import safemlrm.organisms

ROOT = Path(__file__).parents[3]
ORGANISMS = Path(safemlrm.organisms.__file__).parent
CHECKPOINTS = {"base": "base", "reasoner": "reasoner-degraded"}


def example(language: str, first_line: str) -> str:
    """Return the README's code block in a language that starts with a line."""
    blocks = re.findall(rf"```{language}\n(.*?)```", (ROOT / "README.md").read_text("utf-8"), re.S)
    (found,) = [block for block in blocks if block.startswith(first_line)]
    return str(found)


@pytest.mark.slow
def test_ten_lines_gate_two_checkpoints(pytester: pytest.Pytester) -> None:
    for name, organism in CHECKPOINTS.items():
        shutil.copytree(ORGANISMS / organism, pytester.path / "checkpoints" / name)
    (pytester.path / "safety.toml").write_text(example("toml", "# safety.toml"), "utf-8")
    (pytester.path / "test_release.py").write_text(example("python", "# test_release.py"), "utf-8")

    done = pytester.runpytest_subprocess("-m", "illegal_activity and figstep", "-p", "no:randomly")

    done.assert_outcomes(failed=2)
    done.stdout.fnmatch_lines(
        [
            "measuring base: asked 60, from the store 0, *",
            "measuring reasoner: asked 60, from the store 0, *",
            "ASR * limit 10%: passes to 6/60, fails from */60*",
            "FAIL * r1 / illegal_activity / figstep *limit 10%*",
        ]
    )


def test_the_commands_of_the_readme_exist() -> None:
    text = (ROOT / "README.md").read_text("utf-8")
    targets = set(re.findall(r"^\$ make (\w+)", text, re.M))
    makefile = (ROOT / "Makefile").read_text("utf-8")
    assert {"gate", "test"} <= targets
    assert all(re.search(rf"^{target}:", makefile, re.M) for target in targets)
