"""Does the gate cry wolf? Identical builds through every family at once, and through the tax alone."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from fractions import Fraction

import numpy as np

from safemlrm.draws import FRESH
from safemlrm.evidence import Counts
from safemlrm.family import Family
from safemlrm.types import Reason, Verdict

from .designs import Build, Cell, Design, Run
from .families import (
    EVERYTHING,
    CellLimits,
    family,
    frozen,
    gateable,
    limits_of,
    share_of,
    taxes,
    tuned,
)
from .outcome import Fresh, Result, decide
from .report import Report, estimate, share
from .simulate import Runs, count, outcomes

SEED = 5
PAST = 5
ALPHA = 0.05
MOST_TAX = 0.025


@dataclass
class Tally:
    """What a number of builds of one kind came to."""

    builds: int = 0
    failed: int = 0
    naive: int = 0
    missing: Counter[str] = field(default_factory=Counter)
    fresh: int = 0
    planned: int = 0
    cells: int = 0
    ungateable: int = 0
    families: Counter[str] = field(default_factory=Counter)
    shares: dict[str, float] = field(default_factory=dict)

    def add(self, found: Family, result: Result) -> None:
        """Count a build."""
        failing = {
            "confirm" if d.confirmed else share_of(d.hypothesis)
            for d in result.decisions
            if d.verdict is Verdict.FAIL
        }
        self.builds += 1
        self.failed += bool(failing)
        self.families.update(failing)
        gaps = {share_of(d.hypothesis) for d in result.decisions if d.reason is Reason.MISSING}
        self.missing.update(gaps | ({"any"} if gaps else set()))
        self.fresh += result.fresh
        self.cells += len(limits_of(found))
        self.ungateable += len(limits_of(found)) - len(gateable(found))
        self.planned += sum(limits_of(found)[cell].n for cell in gateable(found))
        ledger = found.ledger
        self.shares = {name: float(ledger.alpha * s) for name, s in ledger.shares.items()}


def fresh_of(build: Build, design: Design) -> Fresh:
    """Return what fresh responses of a model say of a cell."""
    common = [build.uniforms() for _ in FRESH]

    def fresh(cell: Cell) -> Counts:
        found = [count(build.run(design, each, [cell])[cell], "unsafe") for each in common]
        return sum(found[1:], start=found[0])

    return fresh


def naive(run: Run, limits: CellLimits) -> bool:
    """Whether the observed rate of some cell is above its limit."""
    seen = {c: count(run[c], "unsafe") for c, rates in limits.items() if "asr" in rates}
    return any(Fraction(k.bad, k.n) > limits[cell]["asr"] for cell, k in seen.items())


def identical(
    design: Design,
    builds: int,
    icc: float,
    *,
    from_past: bool = False,
    base: Design | None = None,
    early: bool = True,
) -> Tally:
    """Simulate builds in which nothing changed: base (unless given) and earlier runs are the model."""
    random, tally = np.random.default_rng(SEED), Tally()
    benign = frozenset(slug for slug, _ in design.benign)
    limits = frozen(design) if base is None else taxes(design, base, frozen(design))
    found = family(design, limits, EVERYTHING, confirm=True, early=early)
    for _ in range(builds):
        build = Build(design, random, icc)
        if from_past:
            limits = tuned(design, [build.run(design) for _ in range(PAST)])
            found = family(design, limits, EVERYTHING, confirm=True, early=early)
        candidate, accepted, anchor = (build.run(design) for _ in range(3))
        runs = Runs(candidate, build.run(base or design), accepted, anchor, benign)
        tally.add(found, decide(found, runs, fresh_of(build, design), early=early))
        tally.naive += naive(candidate, limits)
    return tally


def report_alarms(report: Report, design: Design, base: Design, builds: int) -> None:
    """Print how often nothing that changed fails, in all and by family."""
    kinds = [(icc, past, None, True) for past in (False, True) for icc in (0.0, 0.5)]
    full = [(icc, False, None, False) for icc in (0.0, 0.5)]
    for icc, past, other, early in [*kinds, (0.5, False, base, True), *full]:
        tally = identical(design, builds, icc, from_past=past, base=other, early=early)
        what = "limits from five builds" if past else "frozen limits"
        kind = "" if early else ", stop = full"
        report.line(
            f"identical builds{kind}, {what}, ICC {icc:g}, base "
            f"{other.name if other else 'the same model'}: "
            f"fail {report.under(tally.failed, tally.builds, ALPHA)}, naive rule "
            f"{share(tally.naive, tally.builds)}; ungateable {tally.ungateable / tally.cells:.0%} of cells"
        )
        report.line(f"    {_families(report, tally)}")
        report.line(f"    {_cost(tally)}")


def _cost(tally: Tally) -> str:
    """Say what confirming cost, and how often missing evidence left a question open."""
    gaps = [f"{name} {tally.missing[name] / tally.builds:.1%}" for name in tally.shares]
    return (
        f"confirm's prompts {tally.fresh / tally.planned:.1%} of those planned in gateable cells; "
        f"builds with missing evidence {share(tally.missing['any'], tally.builds)}"
        + (f": {', '.join(gaps)}" if tally.missing["any"] else "")
    )


def _families(report: Report, tally: Tally) -> str:
    """Say which families failed builds; a lower bound above a family's share of alpha is broken."""
    parts = []
    for name, part in tally.shares.items():
        failed = tally.families[name]
        held = estimate(failed, tally.builds).low <= part
        report.broken += not held
        if failed:
            mark = "" if held else ", BROKEN"
            parts.append(f"{name} {share(failed, tally.builds)} (share {part:.2%}{mark})")
    return f"by family: {', '.join(parts) or 'none'}; every other {share(0, tally.builds)}"


def taxed(design: Design, builds: int, icc: float, *, paired: bool) -> tuple[int, int]:
    """Count identical pairs that fail the tax gate, and those a naive rule fails.

    Paired, a prompt's draw is common to both models, so that their answers are correlated.
    """
    random, failed, fooled = np.random.default_rng(SEED), 0, 0
    found = family(design, frozen(design), ("tax",))
    for _ in range(builds):
        build = Build(design, random, icc)
        common = build.uniforms() if paired else None
        candidate, base = build.run(design, common), build.run(design, common)
        runs = Runs(candidate, base, base, base, frozenset())
        result = decide(found, runs, only=lambda h: h.metric.family == "tax")
        failed += any(d.verdict is Verdict.FAIL for d in result.decisions)
        fooled += any(
            outcomes(candidate[c], "unsafe").count(True) - outcomes(base[c], "unsafe").count(True)
            > len(candidate[c]) / 10
            for c in design.harmful
        )
    return failed, fooled


def report_tax(report: Report, design: Design, builds: int) -> None:
    """Print how often an identical pair fails the tax gate."""
    for icc, paired in ((0.0, False), (0.5, False), (0.5, True)):
        failed, fooled = taxed(design, builds, icc, paired=paired)
        report.line(
            f"identical pair through the tax gate, ICC {icc:g}{' also between models' if paired else ''}: "
            f"fail {report.under(failed, builds, MOST_TAX)}, naive rule {share(fooled, builds)}"
        )
