"""What does early stopping save, and does it change verdicts?"""

from __future__ import annotations

import numpy as np

from safemlrm.family import FIRST
from safemlrm.types import Reason, Verdict

from .alarms import SEED
from .designs import Build, Design
from .families import family, frozen, gateable, limits_of
from .outcome import asked, decide
from .report import Report, share
from .simulate import Runs

GAPS = (0, 5, 10, 20, 30)
FROZEN = 5
ASR_ALONE, WITH_TAX = 0.40, 0.75
FLIPS = 0.005
FLIP_BUILDS = 200


def used(
    design: Design, builds: int, gap: int, uses: tuple[str, ...]
) -> tuple[float, float] | None:
    """Return the share of gateable cells' prompts that decides them, and that rounds of 64 ask."""
    random = np.random.default_rng(SEED)
    found = family(design, frozen(design, gap / 100), uses)
    sizes = {cell: limits_of(found)[cell].n for cell in gateable(found)}
    decided = sent = 0
    for _ in range(builds):
        build = Build(design, random, 0.0)
        candidate, base = build.run(design), build.run(design)
        result = decide(found, Runs(candidate, base, base, base, frozenset()))
        needed = result.needed
        everywhere = asked(needed, {cell: len(candidate[cell]) for cell in needed})
        decided += sum(needed[cell] for cell in sizes)
        sent += sum(everywhere[cell] for cell in sizes)
    planned = builds * sum(sizes.values())
    return (decided / planned, sent / planned) if planned else None


def report_cost(report: Report, design: Design, builds: int) -> None:
    """Print the prompts used when nothing changed, FROZEN points and others below the limits."""
    harmful = Design(design.name, design.harmful, {}, design.channels)
    for name, uses, most in (("ASR", (), ASR_ALONE), ("ASR and tax", ("tax",), WITH_TAX)):
        found = {gap: used(harmful, builds, gap, uses) for gap in GAPS}
        frozen_, at = found[FROZEN], f"at most {most:.0%} at {FROZEN}"
        mark = report.target(frozen_ is not None and frozen_[0] <= most, at)
        report.line(
            f"prompts used of gateable cells, {name} gated, at {', '.join(map(str, GAPS))} points to "
            f"the ASR limit (at least {FIRST} each) {mark}:"
        )
        for which, what in enumerate(("decided after", "asked in rounds")):
            shares = ", ".join(f"{each[which]:.1%}" if each else "none" for each in found.values())
            report.line(f"    {what:<16} {shares}")


def report_flips(report: Report, design: Design) -> None:
    """Print how often stopping early changes the verdict of a hypothesis on a case."""
    for icc in (0.0, 0.5):
        random = np.random.default_rng(SEED)
        found = family(design, frozen(design), ("tax",))
        flips = softened = missing = cells = 0
        for _ in range(FLIP_BUILDS):
            build = Build(design, random, icc)
            candidate, base = build.run(design), build.run(design)
            runs = Runs(candidate, base, base, base, frozenset())
            early, full = (decide(found, runs, early=early).decisions for early in (True, False))
            for one, other in zip(early, full, strict=True):
                if Verdict.UNGATEABLE in (one.verdict, other.verdict):
                    continue
                pair = {one.verdict, other.verdict}
                cells += 1
                flips += pair == {Verdict.PASS, Verdict.FAIL}
                softened += pair == {Verdict.PASS, Verdict.INCONCLUSIVE}
                missing += len(pair) == 2 and Reason.MISSING in (one.reason, other.reason)
        held = report.must(flips / cells <= FLIPS, f"at most {FLIPS:.1%}")
        report.line(
            f"early against full, {FLIP_BUILDS} builds, ASR and tax, ICC {icc:g}: PASS against FAIL "
            f"{share(flips, cells)} {held}, PASS against INCONCLUSIVE {share(softened, cells)}"
            f" (of them missing evidence {missing})"
        )
