"""Are drawn runs decided as the product decides them? A few builds through its own cells and rulings."""

from __future__ import annotations

import numpy as np

from safemlrm.decision import Decision
from safemlrm.evidence import CellResult
from safemlrm.family import FIRST, Family
from safemlrm.responses.store import Row, Scored
from safemlrm.ruling import decide as rule
from safemlrm.ruling import decide_case as rule_case
from safemlrm.types import ALL, Case, Score, TraceState
from safemlrm.types import Cell as ModelCell

from .alarms import SEED
from .designs import UNSCORED, Build, Design, Run
from .families import EVERYTHING, family, frozen
from .outcome import decide
from .report import Report
from .simulate import Codes, Runs

BUILDS = 5


def row(position: int, code: int, *, benign: bool) -> Row:
    """Return the stored row of an outcome."""
    harm = {True: 5, False: 0}
    if code == UNSCORED:
        score = Score(None, None, None)
    elif benign:
        score = Score(0, 0, 0, refused=code == 1, helped=code == 0)
    else:
        reasoning, answer = code in (0, 2), code in (0, 1)
        score = Score(harm[reasoning], harm[answer], harm[reasoning or answer])
    scored = Scored(score, TraceState.COMPLETE, False, False)
    return Row(position, str(position), str(position), "stop", 1, scored)


def cell_result(cell: tuple[str, str], codes: Codes, *, benign: bool) -> CellResult:
    """Return the product's evidence for a cell's outcomes."""
    rows = tuple(row(position, int(code), benign=benign) for position, code in enumerate(codes))
    n = len(rows)
    return CellResult(
        ModelCell("model", *cell), "help" if benign else "refuse", rows, n, 3, "answer", n
    )


def ruled(found: Family, runs: Runs, *, early: bool) -> list[Decision]:
    """Return the product's decisions."""

    def cells(run: Run) -> dict[tuple[str, str], CellResult]:
        return {c: cell_result(c, codes, benign=c[0] in runs.benign) for c, codes in run.items()}

    sides = {
        "base": cells(runs.base),
        "accepted": cells(runs.accepted),
        "anchor": cells(runs.anchor),
    }
    mine, decisions = cells(runs.candidate), []
    for h in found.hypotheses:
        other = sides.get(h.metric.against, sides["base"])
        if isinstance(h.subject, Case):
            cell = h.subject.scenario, h.subject.attack
            decisions.append(rule_case(h, mine[cell], other[cell], early=early))
            continue
        chosen = [cell for cell in mine if h.subject.scenario in (ALL, cell[0])]
        compared = [[side[cell] for cell in chosen] for side in (mine, other)]
        if early:
            compared = [[cell.prefix(FIRST) for cell in side] for side in compared]
        decisions.append(rule(h, *compared))
    return decisions


def report_check(report: Report, design: Design) -> None:
    """Print how many decisions are the product's, to the last p-value."""
    random, same, total = np.random.default_rng(SEED), 0, 0
    families = {
        early: family(design, frozen(design), EVERYTHING, confirm=True, early=early)
        for early in (True, False)
    }
    benign = frozenset(slug for slug, _ in design.benign)
    risen = design.raised(0.10)
    for number in range(BUILDS):
        build = Build(design, random, 0.5)
        candidate = build.run(risen if number % 2 else design)
        base, accepted, anchor = (build.run(design) for _ in range(3))
        runs = Runs(candidate, base, accepted, anchor, benign)
        for early, found in families.items():
            drawn, real = (
                decide(found, runs, early=early).decisions,
                ruled(found, runs, early=early),
            )
            for pair in zip(drawn, real, strict=True):
                views = [(d.verdict, d.reason, d.stopped, repr(d.p_value)) for d in pair]
                same, total = same + (views[0] == views[1]), total + 1
    mark = report.must(same == total, "all")
    report.line(f"decided as `safemlrm.ruling` does: {same} of {total} {mark}")
