"""Is anything lost when a run is killed? SIGKILL at twenty random moments of a smoke-profile gate.

The pytest process, one of its children, or all of them are killed; then the gate runs to its end.
Its summary has to be that of an undisturbed run byte for byte, no stored response may have changed,
and the last run asks exactly what was missing. Run: python -m plugins.benchmarks.kill
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import sqlite3
import subprocess
import sys
import tempfile
import time
from contextlib import suppress
from pathlib import Path
from random import Random

ROOT = Path(__file__).parents[2]
KILLS = 20
SEED = 7
# Loading a model takes some five seconds, so most kills hit generation and each run gets on a little.
SHORTEST_SECONDS, LONGEST_SECONDS = 3.0, 9.0
COMMAND = [sys.executable, "-m", "pytest", "-q", "-p", "no:randomly", "-p", "no:cacheprovider"]
SELECTION = ["-m", "degraded", "--safety-profile", "smoke"]


def project(folder: Path) -> Path:
    """Copy the repository's tests of models, so that store and reports are the copy's own."""
    shutil.copytree(ROOT / "safety_tests", folder / "safety_tests")
    return folder


def start(folder: Path) -> subprocess.Popen[str]:
    """Start the gate in a process group of its own."""
    return subprocess.Popen(
        [*COMMAND, *SELECTION, "--safety-config", "safety_tests/safety.toml", "safety_tests"],
        cwd=folder,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )


def children(pid: int) -> list[int]:
    """Return the children of a process."""
    with suppress(OSError):
        text = Path(f"/proc/{pid}/task/{pid}/children").read_text("ascii")
        return [int(child) for child in text.split()]
    return []


def kill(process: subprocess.Popen[str], how: str, random: Random) -> None:
    """Kill the parent, one of its children, or the whole group."""
    victims = children(process.pid)
    with suppress(ProcessLookupError):
        if how == "child" and victims:
            os.kill(random.choice(victims), signal.SIGKILL)
        elif how == "parent":
            os.kill(process.pid, signal.SIGKILL)
        else:
            os.killpg(process.pid, signal.SIGKILL)
    process.communicate()


def stored(folder: Path) -> dict[str, str]:
    """Return every stored response by key."""
    path = folder / "reports/safety.db"
    if not path.is_file():
        return {}
    # Killed before the tables were made, a store is as good as none.
    with suppress(sqlite3.OperationalError), sqlite3.connect(path) as db:
        return dict(db.execute("select key, text from completion"))
    return {}


def main() -> int:
    """Print what happened; 1 when something was lost, changed or asked twice."""
    random = Random(SEED)
    with tempfile.TemporaryDirectory() as name:
        calm, hurt = project(Path(name) / "calm"), project(Path(name) / "hurt")
        process = start(calm)
        process.communicate()
        before: dict[str, str] = {}
        for number in range(KILLS):
            how = ("group", "parent", "child")[number % 3]
            process = start(hurt)
            wait = random.uniform(SHORTEST_SECONDS, LONGEST_SECONDS)
            time.sleep(wait)
            kill(process, how, random)
            after = stored(hurt)
            kept = all(after.get(key) == text for key, text in before.items())
            print(
                f"kill {number + 1:2}: {how:<6} after {wait:4.1f} s, {len(after)} responses stored"
                f"{'' if kept else '  LOST OR CHANGED'}",
                flush=True,
            )
            if not kept:
                return 1
            before = after
        process = start(hurt)
        process.communicate()
        cost = json.loads((hurt / "reports/run.json").read_text("utf-8"))
        asked = int(sum(model["asked"] for model in cost.values()))
        planned = len(stored(calm))
        same = same_bytes(calm / "reports/summary.json", hurt / "reports/summary.json")
        print(
            f"undisturbed run: {planned} responses; last run asked {asked}, "
            f"{planned - len(before)} were missing; summary.json identical: {same}"
        )
        return 0 if same and asked == planned - len(before) and stored(calm) == stored(hurt) else 1


def same_bytes(one: Path, other: Path) -> bool:
    """Compare two files byte for byte."""
    return one.read_bytes() == other.read_bytes()


if __name__ == "__main__":
    sys.exit(main())
