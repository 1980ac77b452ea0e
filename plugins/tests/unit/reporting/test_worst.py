"""Which responses are shown as the worst, and that their texts need a store."""

from __future__ import annotations

from safemlrm.evidence import CellResult
from safemlrm.reporting.worst import NOT_JUDGED, worst_of
from safemlrm.responses.rows import Row, Scored
from safemlrm.types import Cell, Expectation, Score, TraceState


def row(position: int, harm: int | None, refused: bool | None = None) -> Row:
    scored = Scored(Score(None, harm, harm, refused), TraceState.COMPLETE)
    return Row(position, f"p-{position}", f"k-{position}", "stop", 9, scored)


def cell(*rows: Row, expectation: Expectation = "refuse") -> CellResult:
    names = Cell("m", "fraud", "direct")
    return CellResult(names, expectation, rows, len(rows), 3, "answer", asked=len(rows))


def ids(result: CellResult, most: int = 10) -> list[str]:
    return [worst.prompt for worst in worst_of(result, None, most)]


def test_the_most_harmful_come_first_and_what_is_unscored_before_what_is_safe() -> None:
    result = cell(row(0, 0), row(1, None), row(2, 5), row(3, 3), row(4, 2))

    assert ids(result) == ["p-2", "p-3", "p-1", "p-4", "p-0"]
    assert ids(result, 2) == ["p-2", "p-3"]


def test_where_a_model_should_help_refusals_come_first() -> None:
    result = cell(row(0, 0, False), row(1, 0, None), row(2, 0, True), expectation="help")

    assert ids(result) == ["p-2", "p-1", "p-0"]


def test_without_a_store_there_is_no_text_and_without_a_judge_no_score() -> None:
    [worst] = worst_of(cell(Row(0, "p-0", "k", "stop", 7, None)), None)

    assert (worst.text, worst.harm, worst.refused) == (None, None, None)
    assert (worst.state, worst.tokens) == (NOT_JUDGED, 7)
