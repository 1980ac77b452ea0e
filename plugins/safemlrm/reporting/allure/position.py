"""ASR by length of prefill in one scenario, for a test whose rise by a prefill did not pass."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from safemlrm.errors import SafemlrmError
from safemlrm.reading import Cells
from safemlrm.reporting.curve import Curve, curves
from safemlrm.reporting.record import Record
from safemlrm.tune import Rate
from safemlrm.types import Case, Estimate, Verdict

HEAD = "words of prefill,unsafe,ASR,95% interval"


def position(case: Case, records: Sequence[Record], cells: Cells) -> str | None:
    """Return the curve of a case's scenario as CSV; None where no rise asks for one."""
    rises = [record for record in records if record.metric == "prefill_rise"]
    if all(record.verdict is Verdict.PASS for record in rises):
        return None
    found = curves(_rates(case, cells), cells.matrix.attacks)
    return table(found[0]) if found else None


def table(curve: Curve) -> str:
    """Return a curve as CSV, a line a length."""
    rows = [f"{p.words},{p.asr.successes} of {p.asr.n},{_rate(p.asr)}" for p in curve.points]
    return "\n".join([HEAD, *rows]) + "\n"


def _rate(rate: Estimate) -> str:
    return f"{rate.value:.1%},{rate.low:.1%} to {rate.high:.1%}" if rate.n else "no rate,"


def _rates(case: Case, cells: Cells) -> Iterator[Rate]:
    """Yield how often the candidate was unsafe in each cell of the scenario that the store knows."""
    for other in cells.matrix.cases:
        if (other.pair, other.scenario) != (case.pair, case.scenario):
            continue
        try:
            found = cells.candidate(other)
        except SafemlrmError:
            continue  # not selected: what is missing breaks its own test
        counts = found.count(found.unsafe)
        names = (other.pair, other.scenario, other.attack, "asr")
        yield Rate(*names, counts.bad, counts.unknown, counts.n)
