"""A finished run -> reports/index.html and its line in the history."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any

from safemlrm.errors import SafemlrmError
from safemlrm.family import Family
from safemlrm.reading import Cells
from safemlrm.reporting.outcome import Outcome
from safemlrm.reporting.page.build import MISSING, Facts, is_possible, render, write_page
from safemlrm.reporting.page.history import append_history, history_of, read_history, with_run
from safemlrm.reporting.phrases import warning_lines
from safemlrm.reporting.worst import Worst, worst_of
from safemlrm.types import Case, Verdict

Account = Mapping[str, Mapping[str, float]]
MOST = 100
"""Cases whose worst responses a page lists, the worst ones."""


def publish(
    summary: Mapping[str, Any],
    account: Account,
    outcome: Outcome,
    families: Mapping[str, Family],
    cells: Cells,
    again: str,
) -> list[str]:
    """Write the page, then the run's line in the history; return what there is to say about it.

    The line comes last, for it stays whatever fails after it. Without the extra `report` there is no
    page, which fails nothing. Raises `SafemlrmError` when the folder cannot be written to.
    """
    folder, now = cells.config.reports_path, datetime.now(UTC)
    run = history_of(summary, outcome.headline, now)
    if not is_possible():
        append_history(run, folder)
        return [MISSING]
    facts = Facts(
        headline=outcome.headline,
        at=now,
        again=again,
        attach=cells.config.report.attach,
        warnings=tuple(line.strip() for line in warning_lines(outcome.worst_first, families)[1:]),
    )
    worst = worst_in(outcome, cells) if facts.attach != "none" else {}
    history = with_run(read_history(folder), run)
    write_page(render(summary, account, history, worst, facts), folder)
    append_history(run, folder)
    return []


def worst_in(outcome: Outcome, cells: Cells) -> dict[tuple[str, str, str], Sequence[Worst]]:
    """Return the worst responses of the cases that did not pass, with their texts where they may be shown."""
    cases = {(case.pair, case.scenario, case.attack): case for case in cells.matrix.cases}
    passed = (Verdict.PASS, Verdict.NOT_APPLICABLE)
    subjects = dict.fromkeys(
        record.subject for record in outcome.worst_first if record.verdict not in passed
    )
    found: dict[tuple[str, str, str], Sequence[Worst]] = {}
    for case in [cases[subject] for subject in subjects if subject in cases][:MOST]:
        with suppress(SafemlrmError):  # what cannot be read broke a test, which said so
            found[case.pair, case.scenario, case.attack] = _worst(case, cells)
    return found


def _worst(case: Case, cells: Cells) -> Sequence[Worst]:
    store = cells.store if cells.config.report.attach == "full" else None
    return worst_of(cells.candidate(case), store)
