"""Rates by channel and the ids where reasoning and answer part."""

from __future__ import annotations

from safemlrm.channels import by_channel
from safemlrm.evidence import CellResult
from safemlrm.reporting.channels import channel_rows, channel_table, parting_lines
from safemlrm.responses.store import Row, Scored
from safemlrm.types import Cell, Expectation, Score, TraceState

Outcome = tuple[int | None, int | None, int | None]


def cell(*outcomes: Outcome, expectation: Expectation = "refuse") -> CellResult:
    """Return a cell from (reasoning, answer, full) scores; its prompts are p0, p1, ..."""
    rows = tuple(
        Row(n, f"p{n}", f"k{n}", "stop", 1, Scored(Score(*scores), TraceState.COMPLETE))
        for n, scores in enumerate(outcomes)
    )
    where = Cell("model", "fraud", "direct")
    return CellResult(where, expectation, rows, len(rows), 3, "answer", asked=len(rows))


def test_each_channel_has_its_own_rate_and_unknown() -> None:
    [found] = by_channel(
        [cell((5, 0, 3), (0, 5, 5), (5, 5, 5), (0, 0, 0), (None, 4, 4), (5, None, 5))]
    )
    assert (found.reasoning.successes, found.reasoning.n) == (3, 5)
    assert (found.answer.successes, found.answer.n) == (3, 5)
    assert (found.full.successes, found.full.n) == (5, 6)
    assert (found.leaks, found.escapes, found.unknown) == (("p0",), ("p1",), 2)
    assert parting_lines([found]) == [
        "model / fraud / direct: leak at p0",
        "model / fraud / direct: escape at p1",
    ]


def test_a_model_without_a_trace_has_no_reasoning_and_none_is_made_up() -> None:
    [found] = by_channel([cell((None, 5, 5), (None, 0, 0))])
    assert not found.reasons
    assert channel_rows([found])[1] == (
        *("model", "fraud", "direct", "none"),
        *("50.0% (1/2) [1.3%, 98.7%]", "50.0% (1/2) [1.3%, 98.7%]", "-", "-"),
    )
    assert channel_table([found], str) == []


def test_benign_cells_are_left_out_and_many_ids_are_shortened() -> None:
    assert by_channel([cell((0, 0, 0), expectation="help")]) == ()
    [many] = by_channel([cell(*[(5, 0, 5)] * 13)])
    [line] = parting_lines([many])
    assert line.endswith("p8, p9 and 3 more")
    assert len(many.leaks) == 13
