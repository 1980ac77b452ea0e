"""An interrupted or killed run leaves no process behind, keeps what it has and resumes."""

from __future__ import annotations

import os
import signal
import sqlite3
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from fixtures.projects import CELLS, PROMPTS, Folder, safety_toml

RESPONSES = CELLS * PROMPTS
BATCH = 8
DEADLINE_SECONDS = 60
SLOW = safety_toml(
    candidate='by_cell = { "fraud/figstep" = 1.0 }, delay_ms = 150', batch_size=BATCH
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
    folder.write(SLOW.replace("delay_ms = 150", "delay_ms = 0"))
    assert folder.start().wait() == pytest.ExitCode.TESTS_FAILED
    return folder


@pytest.fixture
def folder(tmp_path: Path) -> Folder:
    """The same project, never run and slow to measure."""
    made = Folder(tmp_path)
    made.write(SLOW)
    return made


def kill_at(folder: Folder, moment: int) -> None:
    """Start a run, kill it without warning once so many responses are stored, see its children go."""
    run = folder.start()
    wait_for(lambda: committed(folder) >= moment)
    os.kill(run.pid, signal.SIGKILL)
    assert run.wait() == -signal.SIGKILL
    wait_for(lambda: not alive(run.pid))


def finish(folder: Folder) -> int:
    """Run to the end without delay and return how many responses that asked for."""
    folder.edit("delay_ms = 150", "delay_ms = 0")
    assert folder.start().wait() == pytest.ExitCode.TESTS_FAILED
    return folder.asked


@pytest.mark.parametrize("workers", [[], ["-n1"]], ids=["bare", "workers"])
def test_ctrl_c_keeps_what_was_answered_and_leaves_no_process(
    folder: Folder, undisturbed: Folder, workers: list[str]
) -> None:
    run = folder.start(*workers)
    wait_for(lambda: committed(folder) >= BATCH)
    os.killpg(run.pid, signal.SIGINT)  # a terminal interrupts the whole group
    assert run.wait() == pytest.ExitCode.INTERRUPTED
    wait_for(lambda: not alive(run.pid))
    said = folder.output.read_text("utf-8")
    assert "INTERNALERROR" not in said
    kept = folder.completions
    assert BATCH <= kept < RESPONSES
    assert finish(folder) == RESPONSES - kept
    assert folder.completions == RESPONSES
    assert folder.summary_text == undisturbed.summary_text


def test_killed_again_and_again_it_resumes_and_asks_nothing_twice(
    folder: Folder, undisturbed: Folder
) -> None:
    for moment in (1, 4 * BATCH + 1):
        kill_at(folder, moment)
        assert moment <= folder.completions < RESPONSES
    kept = folder.completions
    assert finish(folder) == RESPONSES - kept
    assert folder.completions == RESPONSES
    assert folder.summary_text == undisturbed.summary_text
