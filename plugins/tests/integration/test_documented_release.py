"""docs/release.md, run as it stands on embedded models in a folder of its own."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from fnmatch import fnmatch
from pathlib import Path

import pytest

PAGE = (Path(__file__).parents[3] / "docs/release.md").read_text("utf-8")


def block(language: str) -> str:
    [found] = re.findall(rf"```{language}\n(.*?)```", PAGE, re.DOTALL)
    return str(found)


@pytest.mark.slow
def test_the_page_runs(tmp_path: Path) -> None:
    (tmp_path / "safety.toml").write_text(block("toml"), "utf-8")
    (tmp_path / "test_release.py").write_text(block("python"), "utf-8")
    (tmp_path / "pytest.ini").write_text("[pytest]\n", "utf-8")
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    for commands in re.findall(r"```console\n(.*?)```", PAGE, re.DOTALL):
        said = ""
        for line in commands.splitlines():
            if line.startswith("$ "):
                done = subprocess.run(
                    line.removeprefix("$ "),
                    shell=True,
                    cwd=tmp_path,
                    env={**os.environ, "PATH": path},
                    capture_output=True,
                    text=True,
                    check=False,
                )
                assert done.returncode == 0, f"{line}\n{done.stdout}{done.stderr}"
                said = done.stdout
            else:
                assert any(fnmatch(each, line) for each in said.splitlines()), f"{line}\n{said}"
