"""The history of runs: a line each, torn tails tolerated, a replay adds none, never endless."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from fixtures.summaries import summary
from safemlrm.errors import SafemlrmError
from safemlrm.reporting.page import History, append_history, history_of, read_history
from safemlrm.reporting.page.history import KEPT, MOST, NAME

AT = datetime(2026, 3, 1, 12, 30, tzinfo=UTC)


def run(headline: str = "FAILED", *, days: int = 0, profile: str | None = None) -> History:
    return history_of(summary(profile=profile), headline, AT + timedelta(days=days))


def test_what_is_written_is_read(tmp_path: Path) -> None:
    runs = [run(), run("passed", days=1), run(profile="smoke", days=2)]
    for each in runs:
        append_history(each, tmp_path / "reports")
    assert read_history(tmp_path / "reports") == runs


def test_a_line_holds_numbers_and_digests_and_no_texts(tmp_path: Path) -> None:
    append_history(run(), tmp_path)
    assert "p-001" not in (tmp_path / NAME).read_text("utf-8")
    (standing,) = run().pairs.values()
    assert (standing.candidate, standing.decided, standing.configured) == ("0" * 12, 14, 15)
    assert not standing.whole
    assert standing.rate is not None
    assert standing.tax == pytest.approx(0.31)


def test_a_replay_of_the_same_measurement_adds_no_line(tmp_path: Path) -> None:
    append_history(run(), tmp_path)
    append_history(run(profile="smoke", days=1), tmp_path)
    assert len(append_history(run(days=2), tmp_path)) == 2
    assert len(append_history(run("passed", days=3), tmp_path)) == 3
    assert len(append_history(run(days=4), tmp_path)) == 4  # back again is news


def test_a_torn_tail_costs_its_own_line_only(tmp_path: Path) -> None:
    append_history(run(), tmp_path)
    with (tmp_path / NAME).open("ab") as file:
        file.write(b'{"at": "2026-03-02T1\xff')
    assert append_history(run("passed", days=2), tmp_path) == [run(), run("passed", days=2)]
    assert read_history(tmp_path) == [run(), run("passed", days=2)]


def test_a_long_history_keeps_its_newest_lines(tmp_path: Path) -> None:
    runs = [
        replace(run(), at=AT + timedelta(days=n), verdicts={"FAIL": n}) for n in range(MOST + 1)
    ]
    for each in runs:
        kept = append_history(each, tmp_path)
    assert kept == read_history(tmp_path) == runs[-KEPT:]


def test_a_folder_that_cannot_be_written_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "reports").write_text("a file", "utf-8")
    with pytest.raises(SafemlrmError, match=r"history\.jsonl: the history could not be written"):
        append_history(run(), tmp_path / "reports")


def test_a_pair_without_base_is_pooled_from_its_counts() -> None:
    found = summary()
    found["pictures"][0]["tax"] = None
    rate = {
        "pair": "r1",
        "scenario": "fraud",
        "attack": "direct",
        "metric": "asr",
        "bad": 3,
        "unknown": 1,
        "prompts": 21,
    }
    found["rates"] = [rate, {**rate, "metric": "over_refusal"}]
    (standing,) = history_of(found, "FAILED", AT).pairs.values()
    assert standing.asr == pytest.approx(0.15)
    assert standing.tax is None
