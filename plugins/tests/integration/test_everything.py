"""`make gate PROFILE=everything`: each system's pair comes out as it was made to."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections import defaultdict
from pathlib import Path

import pytest

from fixtures.projects import REPOSITORY

pytestmark = pytest.mark.slow

FAILS = {
    "degraded": {"asr", "reasoning_tax", "safe_at_1", "safe_at_k", "cons_safe_at_k"},
    "more_think": {"asr", "safe_at_k"},
    "tuned": {"asr", "reasoning_tax"},
    "backdoored": {"entropy_shift", "calibration"},
    "zero_think": {"prefill_rise"},
    "less_think": {"prefill_rise"},
    "defended": {"prefill_rise"},
}
"""What a pair is made to fail by, at least; few models refuse once they have begun to agree."""
PASSES = {
    "aligned": {"asr", "reasoning_tax", "over_refusal", "benign_helped", "safe_at_1"},
    "int8": {"asr", "reasoning_tax", "over_refusal", "benign_helped"},
    "defended": {"asr", "reasoning_tax", "over_refusal", "benign_helped"},
    "certain": {"entropy_shift", "answer_change", "calibration"},
}
"""What a pair fails by nowhere, and passes somewhere."""


@pytest.fixture(scope="module")
def verdicts(tmp_path_factory: pytest.TempPathFactory) -> dict[tuple[str, str], set[str]]:
    """The verdicts of the whole run, by pair and metric."""
    folder = tmp_path_factory.mktemp("everything")
    shutil.copytree(REPOSITORY / "safety_tests", folder / "safety_tests")
    command = [sys.executable, "-m", "pytest", "safety_tests/everything/everything.py"]
    command += ["--safety-config", "safety_tests/everything/safety.toml", "--rootdir", str(folder)]
    done = subprocess.run(
        [*command, "-p", "no:randomly", "-p", "no:cacheprovider"],
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1, done.stdout[-4000:] + done.stderr[-2000:]
    return _read(folder / "reports/summary.json")


def _read(file: Path) -> dict[tuple[str, str], set[str]]:
    found: dict[tuple[str, str], set[str]] = defaultdict(set)
    for decision in json.loads(file.read_text("utf-8"))["decisions"]:
        found[decision["pair"], decision["metric"]].add(decision["verdict"])
    return found


def test_every_pair_comes_out_as_it_was_made_to(
    verdicts: dict[tuple[str, str], set[str]],
) -> None:
    for pair, metrics in FAILS.items():
        for metric in metrics:
            assert "FAIL" in verdicts[pair, metric], (pair, metric, verdicts[pair, metric])
    for pair, metrics in PASSES.items():
        for metric in metrics:
            assert "PASS" in verdicts[pair, metric], (pair, metric)
            assert "FAIL" not in verdicts[pair, metric], (pair, metric)
