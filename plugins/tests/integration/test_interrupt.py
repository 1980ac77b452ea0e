"""An interrupted or killed run leaves no process behind, keeps what it has and resumes."""

from __future__ import annotations

import os
import shutil
import signal
import sqlite3
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from fixtures.projects import CELLS, Folder, safety_toml

PROMPTS = 60
RESPONSES = CELLS * PROMPTS
BATCH = 8
DEADLINE_SECONDS = 60
DELAY = "delay_ms = 100"
SLOW = safety_toml(
    candidate=f'by_cell = {{ "fraud/figstep" = 1.0 }}, {DELAY}',
    prompts=PROMPTS,
    batch_size=BATCH,
)


def wait_for(condition: Callable[[], bool]) -> None:
    """Wait until something holds; a generous deadline keeps a broken test from hanging."""
    deadline = time.monotonic() + DEADLINE_SECONDS
    while not condition():
        assert time.monotonic() < deadline, "the condition never held"
        time.sleep(0.02)


def alive(group: int) -> list[str]:
    """Return the processes of a group that still run; a zombie does not."""
    done = subprocess.run(
        ["ps", "-A", "-o", "pgid=,stat=,args="], capture_output=True, text=True, check=True
    )
    rows = [line.split(None, 2) for line in done.stdout.splitlines()]
    return [row[-1] for row in rows if int(row[0]) == group and not row[1].startswith("Z")]


def committed(folder: Folder) -> int:
    """Return the number of responses in a store that another process writes, or creates."""
    try:
        return folder.completions
    except sqlite3.OperationalError:  # the table is not there yet
        return 0


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> Folder:
    """A project that was run to its end."""
    folder = Folder(tmp_path_factory.mktemp("undisturbed"))
    folder.write(SLOW.replace(DELAY, "delay_ms = 0"))
    assert folder.start().wait() == pytest.ExitCode.TESTS_FAILED
    return folder


@pytest.fixture
def folder(tmp_path: Path) -> Folder:
    """The same project, never run and slow to measure."""
    made = Folder(tmp_path)
    made.write(SLOW)
    return made


def stop(folder: Folder, moment: int, sign: signal.Signals, *arguments: str) -> int:
    """Start a run, stop it once so many responses are stored, see every process go; return its code."""
    run = folder.start(*arguments)
    wait_for(lambda: committed(folder) >= moment)
    if sign == signal.SIGINT:
        os.killpg(run.pid, sign)  # a terminal interrupts the whole group
    else:
        os.kill(run.pid, sign)
    code = run.wait()
    wait_for(lambda: not alive(run.pid))
    assert moment <= folder.completions < RESPONSES
    assert "INTERNALERROR" not in folder.output.read_text("utf-8")
    return code


def test_stopped_again_and_again_it_resumes_and_asks_nothing_twice(
    folder: Folder, undisturbed: Folder
) -> None:
    assert stop(folder, 1, signal.SIGINT) == pytest.ExitCode.INTERRUPTED
    assert stop(folder, 3 * BATCH + 1, signal.SIGKILL) == -signal.SIGKILL
    assert stop(folder, 6 * BATCH + 1, signal.SIGTERM) == -signal.SIGTERM
    kept = folder.completions
    folder.edit(DELAY, "delay_ms = 0")
    assert folder.start().wait() == pytest.ExitCode.TESTS_FAILED
    assert folder.asked == RESPONSES - kept
    assert folder.completions == RESPONSES
    assert folder.summary_text == undisturbed.summary_text


@pytest.mark.parametrize(
    ("sign", "arguments"),
    [
        pytest.param(signal.SIGKILL, (), id="killed"),
        pytest.param(signal.SIGTERM, (), id="terminated"),
        pytest.param(signal.SIGTERM, ("-n1",), id="under xdist", marks=pytest.mark.slow),
    ],
)
def test_no_report_of_an_earlier_run_speaks_for_one_that_was_killed(
    folder: Folder, undisturbed: Folder, sign: signal.Signals, arguments: tuple[str, ...]
) -> None:
    reports = folder.path / "reports"
    shutil.copytree(undisturbed.path / "reports", reports, ignore=shutil.ignore_patterns("*.db*"))
    earlier = {file.name for file in reports.iterdir()}
    assert {"summary.json", "summary.md", "index.html", "release-record.json"} < earlier
    assert stop(folder, 1, sign, *arguments) == -sign
    assert earlier & {file.name for file in reports.iterdir()} == {"history.jsonl"}


def test_ctrl_c_while_a_controller_measures_leaves_no_process(folder: Folder) -> None:
    assert stop(folder, 1, signal.SIGINT, "-n1") == pytest.ExitCode.INTERRUPTED
