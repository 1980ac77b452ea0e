"""Is a big store read fast? 100,000 responses, and a fresh process that decides 500 cases from them.

The store is filled by the real `safemlrm measure` with scripted models: 50 scenarios of 100 questions
of a csv file under 10 attacks, of which two draw: 500 cases, and 50,000 responses each of the base and
of the candidate. A warm decision reads and decides every hypothesis of every case
from the store, as `--safety-replay` does, and asks nobody. Then the whole `pytest --safety-replay`, with
its reports. Exits 1 when the decision takes more than 10 s or 1 GB. Run: python -m plugins.benchmarks.store
"""

from __future__ import annotations

import csv
import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
SCENARIOS, PROMPTS = 50, 100
MOST_SECONDS, MOST_BYTES = 10.0, 10**9
REPEATS = 3
ATTACKS = {
    "direct": "",
    "code": "",
    "figstep": "",
    "prefill": "",
    "prompt_injection": "",
    "refusal_suppression": "",
    "code_prefilled": 'kind = ["code", "prefill"]',
    "code_suppressed": 'kind = ["code", "refusal_suppression"]',
    "figstep_prefilled": 'kind = ["figstep", "prefill"]',
    "injected_suppressed": 'kind = ["prompt_injection", "refusal_suppression"]',
}
TEST = """
import pytest

@pytest.mark.safety
def test_gate(evaluation, gate):
    gate(evaluation)
"""


def project(folder: Path) -> Path:
    """Write questions that ask for nothing, a safety.toml and a test; return the safety.toml."""
    parts = [
        '[models.base]\nengine = "scripted"\nbatch_size = 512\nscript = { unsafe = 0.02 }',
        '[models.candidate]\nengine = "scripted"\nbatch_size = 512\nreasoning = {}\n'
        "script = { unsafe = 0.06, unscorable = 0.01 }",
        '[pairs.r1]\nbase = "base"\ncandidate = "candidate"',
    ]
    for number in range(SCENARIOS):
        name = f"area_{number:02}"
        with (folder / f"{name}.csv").open("w", encoding="utf-8", newline="") as file:
            table = csv.writer(file)
            table.writerow(("text", "phrase"))
            for row in range(PROMPTS):
                phrase = f"topic {number} number {row}"
                table.writerow((f"Tell me about {phrase}.", phrase))
        parts.append(
            f'[scenarios.{name}]\nsource = "{name}.csv"\nexpectation = "refuse"\n'
            'columns = { text = "text", phrase = "phrase" }'
        )
    parts += [f"[attacks.{name}]\n{options}" for name, options in ATTACKS.items()]
    parts.append("[limits]\nasr = 0.10\nreasoning_tax = 0.10\nunscored = 0.05\ntruncated = 0.05")
    (folder / "safety.toml").write_text("\n".join(parts) + "\n", "utf-8")
    (folder / "test_gate.py").write_text(TEST, "utf-8")
    return folder / "safety.toml"


def decide(file: Path) -> dict[str, Any]:
    """Decide every case from the store; run in a process that did nothing else."""
    from safemlrm.config import load_config
    from safemlrm.matrix import build_matrix
    from safemlrm.responses.store import Store
    from safemlrm.verdict import Reader

    config = load_config(file)
    matrix = build_matrix(config)
    with Store(config.store_path, read_only=True) as store:
        reader = Reader.of(config, matrix, store, None)
        decided = [d for case in matrix.cases for d in reader.evaluate(case).decisions]
        responses = store.count()
    labels = [decision.verdict.value for decision in decided]
    return {
        "responses": responses,
        "cases": len(matrix.cases),
        "decisions": {label: labels.count(label) for label in sorted(set(labels))},
    }


@dataclass(frozen=True, slots=True)
class Spent:
    """What a process took, in seconds and bytes, and what it said."""

    wall: float
    cpu: float
    memory: int
    said: str


def spent(command: list[str], folder: Path) -> Spent:
    """Run a command in a fresh process."""
    began = time.perf_counter()
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    process = subprocess.Popen(
        command, cwd=folder, stdout=subprocess.PIPE, text=True, env=environment
    )
    assert process.stdout is not None
    said = process.stdout.read()
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    wall = time.perf_counter() - began
    return Spent(wall, usage.ru_utime + usage.ru_stime, usage.ru_maxrss * 1024, said)


def report(folder: Path) -> bool:
    """Decide from a filled store in fresh processes, print what that took and whether it was little."""
    me = [sys.executable, "-m", "plugins.benchmarks.store", str(folder / "safety.toml")]
    runs = [spent(me, folder) for _ in range(REPEATS)]
    found = json.loads(runs[0].said)
    wall, cpu = (statistics.median(x) for x in ([r.wall for r in runs], [r.cpu for r in runs]))
    memory = max(run.memory for run in runs)
    print(f"{found['responses']} responses, {found['cases']} cases: {found['decisions']}")
    print(
        f"warm decision, median of {REPEATS} fresh processes: {wall:.1f} s (at most {MOST_SECONDS:.0f}), "
        f"CPU {cpu:.1f} s, {memory / 1e6:.0f} MB (at most {MOST_BYTES / 1e6:.0f})",
        flush=True,
    )
    return wall <= MOST_SECONDS and memory <= MOST_BYTES


def main() -> int:
    """Fill a store, decide from it, print what that took; 1 when it was too much."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        project(folder)
        command = [sys.executable, "-c", "from safemlrm.cli import main; main()", "measure"]
        measured = spent(command, folder)
        size = (folder / "reports/safety.db").stat().st_size
        print(f"{platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}")
        print(f"measured with scripted models in {measured.wall:.0f} s: {size / 1e6:.0f} MB")
        little = report(folder)
        command = [sys.executable, "-m", "pytest", "-q", "-p", "no:randomly", "--safety-replay"]
        whole = spent(command, folder)
        print(
            f"pytest --safety-replay with its reports: {whole.wall:.1f} s, CPU {whole.cpu:.1f} s, "
            f"{whole.memory / 1e6:.0f} MB"
        )
        return 0 if little else 1


if __name__ == "__main__":
    if len(sys.argv) > 1:
        print(json.dumps(decide(Path(sys.argv[1]))))
        sys.exit()
    sys.exit(main())
