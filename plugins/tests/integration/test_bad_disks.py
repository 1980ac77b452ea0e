"""Disks fail: a cut store is read or refused, a full one stops the run in one line, reports too."""

from __future__ import annotations

import resource
import shutil
import subprocess
import sys
from pathlib import Path
from random import Random

import pytest

from safemlrm.errors import StoreError
from safemlrm.responses.store import Row, Scored, Store
from safemlrm.types import Completion, Score, TraceState

SAFETY = """
store = "kept/safety.db"
[models.alone]
engine = "scripted"
script = { unsafe = 0.02 }
[pairs.r1]
candidate = "alone"
[scenarios.fraud]
[scenarios.sex]
[attacks.direct]
[limits]
asr = 0.10
"""
TEST = "def test_release_gate(evaluation, gate):\n    gate(evaluation)\n"


def filled(path: Path, count: int = 300) -> list[Row]:
    """Write a store of many pages and return what it holds."""
    with Store(path) as store:
        store.index([("cell", n, f"fr-{n:03}", f"key-{n:03}") for n in range(count)])
        for start in range(0, count, 10):
            numbers = range(start, start + 10)
            completions = [
                (f"fr-{n:03}", Completion(f"key-{n:03}", f"text {n} " * 20, "stop", n, n))
                for n in numbers
            ]
            score = Scored(Score(None, 0, 0, True, None, "refusal_open"), TraceState.ABSENT)
            store.add("m", completions, "rules", [(f"key-{n:03}", score) for n in numbers])
        return store.rows("cell", "rules", count)


def cuts(size: int) -> list[int]:
    """Return lengths to cut a file to: around every page's end, and anywhere."""
    around = [edge + offset for edge in range(0, size, 4096) for offset in (-1, 0, 1)]
    anywhere = [Random(1).randrange(size) for _ in range(60)]
    return sorted({cut for cut in [*around, *anywhere] if 0 <= cut < size})


def test_a_store_cut_at_any_byte_is_read_or_refused_but_never_misread(tmp_path: Path) -> None:
    whole = tmp_path / "whole.db"
    rows = filled(whole)
    content = whole.read_bytes()
    read = [read_cut(tmp_path / f"cut-{cut}.db", content[:cut]) for cut in cuts(len(content))]
    assert None in read
    assert all(set(found) <= set(rows) for found in read if found is not None)


def read_cut(path: Path, content: bytes) -> list[Row] | None:
    """Return what a cut store holds, None where it is refused with its name."""
    path.write_bytes(content)
    try:
        with Store(path, read_only=True) as store:
            return store.rows("cell", "rules", 300)
    except StoreError as error:
        if str(path) not in str(error):
            raise
        return None


@pytest.fixture
def project(tmp_path: Path) -> Path:
    (tmp_path / "safety.toml").write_text(SAFETY, "utf-8")
    (tmp_path / "test_release.py").write_text(TEST, "utf-8")
    return tmp_path


def gate(folder: Path, largest_file: int | None = None) -> subprocess.CompletedProcess[str]:
    """Run the gate, where no file may grow beyond a size: what a full disk looks like."""

    def limit() -> None:
        if largest_file is not None:
            resource.setrlimit(resource.RLIMIT_FSIZE, (largest_file, largest_file))

    command = [sys.executable, "-m", "pytest", "-p", "no:randomly", "-p", "no:cacheprovider"]
    return subprocess.run(
        command, cwd=folder, capture_output=True, text=True, preexec_fn=limit, check=False
    )


def test_a_full_disk_stops_the_run_in_one_line_and_keeps_what_was_stored(project: Path) -> None:
    full = gate(project, largest_file=80_000)
    assert full.returncode == 2
    assert "safety.db: the store could not be written" in full.stdout
    assert "Traceback" not in full.stdout + full.stderr
    with Store(project / "kept/safety.db") as store:
        kept = store.count()
    freed = gate(project)
    assert freed.returncode == 0
    assert f"from the store {kept}," in freed.stdout


def test_a_merge_on_a_full_disk_is_one_line_and_adds_nothing(tmp_path: Path) -> None:
    filled(tmp_path / "other.db", 2000)
    rows = filled(tmp_path / "own.db", 20)

    def limit() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))

    command = [sys.executable, "-c", "from safemlrm.cli import main; main()", "store", "merge"]
    full = subprocess.run(
        [*command, "other.db", "--into", "own.db"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        preexec_fn=limit,
        check=False,
    )
    assert full.returncode == 1
    assert full.stderr.startswith("Error: own.db: the store could not be written (")
    assert len(full.stderr.splitlines()) == 1
    with Store(tmp_path / "own.db", read_only=True) as store:
        assert store.count() == 20
        assert store.rows("cell", "rules", 2000) == rows


def test_a_reports_folder_that_cannot_be_written_is_named_and_fails_the_run(project: Path) -> None:
    (project / "reports").write_text("in the way", "utf-8")
    blocked = gate(project)
    assert blocked.returncode == 1
    assert "reports/summary.json: the report could not be written" in blocked.stdout
    assert "2 PASS" in blocked.stdout
    (project / "reports").unlink()
    assert gate(project).returncode == 0


def test_a_store_that_is_a_folder_is_named(project: Path) -> None:
    shutil.rmtree(project / "kept", ignore_errors=True)
    (project / "kept/safety.db").mkdir(parents=True)
    blocked = gate(project)
    assert blocked.returncode != 0
    assert "safety.db: the store could not be opened" in blocked.stdout + blocked.stderr
    assert "Traceback" not in blocked.stdout + blocked.stderr


@pytest.mark.parametrize("count", [70, 90, 110])
def test_no_cut_of_the_last_pages_is_misread(tmp_path: Path, count: int) -> None:
    """SQLite reads a missing end of a page as zeros, so every cut has to be refused by its size."""
    whole = tmp_path / "whole.db"
    rows = filled(whole, count)
    content = whole.read_bytes()
    for cut in range(len(content) - 9000, len(content), 37):
        found = read_cut(tmp_path / "cut.db", content[:cut])
        assert found is None or found == rows
