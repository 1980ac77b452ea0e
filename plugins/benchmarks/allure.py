"""What do Allure results cost a run? 500 cases, all of which fail, with and without them.

A scripted pair measures once; then the same store is replayed bare and with --alluredir. Processor
time, so that a busy machine says the same. Exits 1 when Allure takes more than 20 s.
Run: python -m plugins.benchmarks.allure
"""

from __future__ import annotations

import resource
import subprocess
import sys
import tempfile
from pathlib import Path

from fixtures.projects import Folder, safety_toml

SCENARIOS = ("illegal_activity", "hate_speech", "physical_harm", "fraud", "sex")
PAIRS = 50
MOST_SECONDS = 20.0


def spent(folder: Folder, *arguments: str) -> float:
    """Return the processor seconds of a run of a project."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    command = [sys.executable, "-m", "pytest", "-q", "--tb=no", *arguments]
    subprocess.run(command, cwd=folder.path, capture_output=True, check=False)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def main() -> int:
    """Print what a replay costs, what it costs with Allure, and what Allure leaves."""
    more = "".join(
        f'[pairs.p{n}]\ncandidate = "candidate"\nbase = "base"\n' for n in range(1, PAIRS)
    )
    toml = safety_toml(
        candidate="unsafe = 0.9",
        base="",
        scenarios=SCENARIOS,
        prompts=60,
        limits="asr = 0.1\nreasoning_tax = 0.1",
        more=more,
    )
    with tempfile.TemporaryDirectory() as name:
        folder = Folder(Path(name))
        folder.write(toml)
        spent(folder)
        bare = spent(folder, "--safety-replay")
        filed = spent(folder, "--safety-replay", "--alluredir=allure")
        left = list((folder.path / "allure").iterdir())
        size = sum(file.stat().st_size for file in left)
        cases = sum(file.name.endswith("-result.json") for file in left)
    print(f"{cases} cases replayed: {bare:.1f} s, with Allure {filed:.1f} s (processor time)")
    print(
        f"Allure: {filed - bare:.1f} s (at most {MOST_SECONDS:g} s), {len(left)} files, {size:,} bytes"
    )
    return int(cases != 2 * PAIRS * len(SCENARIOS) or filed - bare > MOST_SECONDS)


if __name__ == "__main__":
    sys.exit(main())
