"""Several processes write one store at once, and some are killed: what was acknowledged is there."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from fixtures.projects import Folder, safety_toml
from safemlrm.responses.store import Store

WRITERS, BATCHES, SIZE = 4, 30, 20
WRITE = """
import sys
from pathlib import Path
from safemlrm.responses.store import Scored, Store
from safemlrm.types import Completion, Identity, Score, TraceState

path, who, batches, size = Path(sys.argv[1]), *map(int, sys.argv[2:])
sys.stdin.readline()  # all start together, on a file that is not there yet
scored = Scored(Score(None, 0, 0, True, None, "refusal_open"), TraceState.ABSENT)
with Store(path) as store:
    store.set_identity(f"run {who}", f"m{who}", "{}", Identity("d"))
    for batch in range(batches):
        keys = [f"{who}-{batch}-{number}" for number in range(size)]
        # Half of the keys are everybody's, as when two runs ask the same.
        keys += [f"all-{batch}-{number}" for number in range(size)]
        store.index((f"cell {who}", batch * 2 * size + n, key, key) for n, key in enumerate(keys))
        done = [(key, Completion(key, "No. " * 50, "stop", 1, 1)) for key in keys]
        store.add("m", done, "rules", [(key, scored) for key in keys])
        print(batch, flush=True)
"""
HOLD = """
import sys, time
from pathlib import Path
from safemlrm.responses.store import Store

def wait():
    print("waiting", flush=True)

with Store(Path(sys.argv[1])) as store, store.lock(wait):
    print("held", flush=True)
    time.sleep(600)
"""


def start(code: str, *arguments: object) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", code, *map(str, arguments)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def go(process: subprocess.Popen[str]) -> None:
    assert process.stdin is not None
    process.stdin.write("\n")
    process.stdin.flush()


def line(process: subprocess.Popen[str]) -> str:
    assert process.stdout is not None
    return process.stdout.readline().strip()


def stored(path: Path, who: int) -> int:
    """How many of a writer's own responses are there, each with its score and its place."""
    with Store(path, read_only=True) as store:
        rows = store.rows(f"cell {who}", "rules", 10**9)
        assert all(row.scored is not None for row in rows)
        return sum(row.key.startswith(f"{who}-") for row in rows)


def test_writers_that_start_at_once_lose_nothing_and_none_is_locked_out(tmp_path: Path) -> None:
    path = tmp_path / "s.db"
    writers = [start(WRITE, path, who, BATCHES, SIZE) for who in range(WRITERS)]
    for writer in writers:
        go(writer)
    for writer in writers:
        _, complaints = writer.communicate()
        assert (writer.returncode, complaints) == (0, "")
    assert [stored(path, who) for who in range(WRITERS)] == [BATCHES * SIZE] * WRITERS
    with Store(path, read_only=True) as store:
        assert store.count() == (WRITERS + 1) * BATCHES * SIZE
        assert len(store.identities()) == WRITERS


def test_of_a_killed_writer_everything_acknowledged_is_there(tmp_path: Path) -> None:
    path = tmp_path / "s.db"
    killed, other = (
        start(WRITE, path, who, batches, SIZE) for who, batches in ((0, 10**6), (1, 40))
    )
    for writer in (killed, other):
        go(writer)
    acknowledged = 0
    while acknowledged < 25:
        acknowledged = int(line(killed)) + 1
    killed.send_signal(signal.SIGKILL)
    assert killed.stdout is not None
    # Not by communicate(), which does not know of what readline() has read ahead.
    acknowledged += len(killed.stdout.read().split())
    killed.communicate()
    _, complaints = other.communicate()
    assert (killed.returncode, other.returncode, complaints) == (-signal.SIGKILL, 0, "")
    # The batch in flight may have been committed before it could be acknowledged, whole or not at all.
    assert stored(path, 0) in (acknowledged * SIZE, (acknowledged + 1) * SIZE)
    assert stored(path, 1) == 40 * SIZE


def test_the_lock_of_a_dead_run_is_nobodys(tmp_path: Path) -> None:
    path = tmp_path / "s.db"
    holder = start(HOLD, path)
    assert line(holder) == "held"
    second = start(HOLD, path)
    assert line(second) == "waiting"
    holder.kill()
    holder.communicate()
    assert (tmp_path / "s.db.lock").exists()
    assert line(second) == "held"
    second.kill()
    second.communicate()


@pytest.mark.slow
def test_two_runs_at_once_ask_nothing_twice(tmp_path: Path) -> None:
    """The second waits for the first, whole processes of pytest, and both decide."""
    folder = Folder(tmp_path)
    folder.write(safety_toml(candidate="unsafe = 0.02, delay_ms = 200", scenarios=["fraud"]))
    code = "import sys, pytest; sys.exit(pytest.main(['-q', '-p', 'no:cacheprovider']))"
    runs = [
        subprocess.Popen(
            [sys.executable, "-c", code],
            cwd=tmp_path,
            stdout=subprocess.PIPE,
            text=True,
            env={**os.environ, "PYTEST_ADDOPTS": ""},
        )
        for _ in range(2)
    ]
    said = [run.communicate()[0] for run in runs]
    assert [run.returncode for run in runs] == [0, 0], said
    assert folder.completions == 40
    assert folder.query("select sum(requests) from cost") == [(40,)]


def test_a_writer_waits_for_a_long_transaction(tmp_path: Path) -> None:
    path = tmp_path / "s.db"
    with Store(path) as store:
        writer = start(WRITE, path, 0, 1, SIZE)
        with store.writing() as db:
            db.execute("insert into meta values('slow', '1')")
            go(writer)
            with pytest.raises(subprocess.TimeoutExpired):
                writer.wait(timeout=0.2)
        _, complaints = writer.communicate()
        assert (writer.returncode, complaints) == (0, "")
    assert stored(path, 0) == SIZE
