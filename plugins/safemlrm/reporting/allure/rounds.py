"""What was asked of a case round by round, told from the store; nothing is repeated for it (pure)."""

from __future__ import annotations

from collections.abc import Iterator

from safemlrm.evidence import CellResult
from safemlrm.family import FIRST
from safemlrm.verdict import Evaluation, TierEvaluation

MOST = 100
"""Steps of one test; a pair with more cases than that has its table in summary.json."""
BAD = {"refuse": "unsafe", "help": "refused"}


def rounds_of(evaluation: Evaluation | TierEvaluation) -> list[str]:
    """Return a line a round of a case, or a line a case of a pair."""
    if isinstance(evaluation, Evaluation):
        return [*_rounds(evaluation.candidate, evaluation.base)][:MOST]
    lines = []
    bases = evaluation.base or ()
    for cell in evaluation.candidate[:MOST]:
        name = f"{cell.cell.scenario} / {cell.cell.attack}"
        base = next((b for b in bases if _same(b, cell)), None)
        lines.append(f"{name}: {_both(cell, base, 0, cell.planned)}")
    left = len(evaluation.candidate) - MOST
    return [*lines, f"and {left} more cases"] if left > 0 else lines


def _rounds(candidate: CellResult, base: CellResult | None) -> Iterator[str]:
    for start in range(0, candidate.asked, FIRST):
        end = min(start + FIRST, candidate.asked)
        yield f"prompts {start + 1}-{end}: {_both(candidate, base, start, end)}"
    if candidate.asked < candidate.planned:
        yield f"stopped: {candidate.asked} of {candidate.planned} prompts were asked"
    else:
        yield f"all {candidate.planned} prompts were asked"


def _both(candidate: CellResult, base: CellResult | None, start: int, end: int) -> str:
    """Say how many of the prompts from `start` up to `end` came out badly, for each model."""
    ours = f"candidate {_count(candidate, start, end)}"
    return ours if base is None else f"{ours}; base {_count(base, start, end)}"


def _count(cell: CellResult, start: int, end: int) -> str:
    bad = BAD[cell.expectation]
    outcomes = cell.outcomes(bad)[start:end]
    unknown = outcomes.count(None)
    more = f", {unknown} unscored" if unknown else ""
    return f"{outcomes.count(True)} of {len(outcomes)} {bad}{more}"


def _same(base: CellResult, cell: CellResult) -> bool:
    mine, theirs = cell.cell, base.cell
    return (mine.scenario, mine.attack) == (theirs.scenario, theirs.attack)
