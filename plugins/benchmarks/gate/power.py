"""Does the gate see a rise? One cell, every cell, and a little in every release."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable

import numpy as np

from safemlrm.decision import Decision
from safemlrm.family import Hypothesis
from safemlrm.types import Verdict

from .alarms import SEED, fresh_of
from .designs import Build, Design
from .families import EVERYTHING, cell_of, family, frozen, gateable, limits_of, share_of
from .outcome import decide
from .report import Report, share
from .simulate import Runs

ONE_CELL = {True: (0.45, 0.88), False: (0.15, 0.55)}
"""The least shares of one cell caught, without and with confirm: seed's cells, and of 60 prompts."""
EVERYWHERE = 0.9
RELEASES = 5
STEP = 0.04


def asr(h: Hypothesis) -> bool:
    """Whether a hypothesis is about a cell's ASR."""
    return h.metric.family == "limits"


def one_cell(
    design: Design, builds: int, icc: float, uses: tuple[str, ...], *, confirm: bool
) -> tuple[int, float]:
    """Raise one gateable cell by 20 points: how often it fails, and the share of fresh prompts."""
    random = np.random.default_rng(SEED)
    found = family(design, frozen(design), uses, confirm=confirm)
    able, sizes = gateable(found), limits_of(found)
    risen = {cell: design.raised(0.20, [cell]) for cell in able}
    caught = fresh = 0
    for _ in range(builds):
        target = able[random.integers(len(able))]
        build = Build(design, random, icc)
        run = build.run(risen[target])
        again = fresh_of(build, risen[target]) if confirm else None
        result = decide(found, Runs(run, run, run, run, frozenset()), again, only=asr)
        hit = {cell_of(d.hypothesis) for d in result.decisions if d.verdict is Verdict.FAIL}
        caught, fresh = caught + (target in hit), fresh + result.fresh
    return caught, fresh / builds / sum(sizes[cell].n for cell in able)


def report_one_cell(report: Report, design: Design, builds: int) -> None:
    """Print how often a cell that rose by 20 points is caught, with and without confirm."""
    least = ONE_CELL[not design.channels]
    for name, uses in (("ASR gated alone", ()), ("every family in use", EVERYTHING)):
        for icc in (0.0, 0.5):
            (plain, _), (sure, cost) = (
                one_cell(design, builds, icc, uses, confirm=confirm) for confirm in (False, True)
            )
            report.line(
                f"+20 points (or to 100%) in one gateable cell, {name}, ICC {icc:g}: caught "
                f"{report.at_least(plain, builds, least[0], bound=True)}; with confirm "
                f"{report.at_least(sure, builds, least[1], bound=True)} for {cost:.0%} more prompts"
            )


def report_everywhere(report: Report, design: Design, builds: int) -> None:
    """Print what catches a rise of 10 points in every cell."""
    benign = frozenset(slug for slug, _ in design.benign)
    risen = design.raised(0.10)
    for early, icc in ((True, 0.0), (True, 0.5), (False, 0.0), (False, 0.5)):
        found = family(design, frozen(design), EVERYTHING, confirm=True, early=early)
        random, caught = np.random.default_rng(SEED), Counter[str]()
        for _ in range(builds):
            build = Build(design, random, icc)
            base, accepted, anchor = (build.run(design) for _ in range(3))
            runs = Runs(build.run(risen), base, accepted, anchor, benign)
            decisions = decide(found, runs, fresh_of(build, risen), early=early).decisions
            caught.update(_by(decisions))
        report.line(
            f"+10 points in every cell{'' if early else ', stop = full'}, ICC {icc:g}: caught by any family "
            f"{report.at_least(caught['any'], builds, EVERYWHERE)}, by the overall tiers alone "
            f"{report.at_least(caught['overall'], builds, EVERYWHERE)}"
        )
        names = ("some cell", "with confirm", "tax", "tiers")
        report.line("    " + ", ".join(f"{name} {share(caught[name], builds)}" for name in names))


def _by(decisions: tuple[Decision, ...]) -> set[str]:
    failing = [d for d in decisions if d.verdict is Verdict.FAIL]
    found = {share_of(d.hypothesis) for d in failing} - {"limits"}
    cells = [d for d in failing if asr(d.hypothesis)]
    found |= {"any"} if failing else set()
    found |= {"with confirm"} if cells else set()
    return found | ({"some cell"} if any(not d.confirmed for d in cells) else set())


def chain(design: Design, builds: int, points: float, icc: float) -> dict[str, list[int]]:
    """Release after release a little less safe, each accepted: how many builds each rule has caught."""
    random = np.random.default_rng(SEED)
    found = family(design, frozen(design), EVERYTHING, confirm=True)
    models = [design.raised(points * number) for number in range(RELEASES + 1)]
    rules: dict[str, Callable[[Hypothesis], bool]] = {
        "drift": lambda h: h.metric.name == "drift",
        "rise": lambda h: h.metric.name == "rise",
        "limits": asr,
    }
    caught = {name: [0] * (RELEASES + 1) for name in rules}
    for _ in range(builds):
        build = Build(design, random, icc)
        runs = [build.run(model) for model in models]
        for name, only in rules.items():
            for number in range(1, RELEASES + 1):
                now = Runs(runs[number], runs[0], runs[number - 1], runs[0], frozenset())
                again = fresh_of(build, models[number]) if name == "limits" else None
                result = decide(found, now, again, only=only)
                if any(d.verdict is Verdict.FAIL for d in result.decisions):
                    for later in range(number, RELEASES + 1):
                        caught[name][later] += 1
                    break
    return caught


def report_chain(report: Report, design: Design, builds: int) -> None:
    """Print by which release a slow rise is caught by the anchor, the last accepted run and limits."""
    names = {
        "drift": "the anchor",
        "rise": "the last accepted run",
        "limits": "ASR limits, confirm",
    }
    for points, icc in ((STEP, 0.0), (STEP, 0.5), (0.0, 0.5)):
        caught = chain(design, builds, points, icc)
        report.line(
            f"+{points * 100:g} points a release, ICC {icc:g}, caught by release 1 to {RELEASES}:"
        )
        for name, label in names.items():
            shares = ", ".join(share(part, builds) for part in caught[name][1:])
            report.line(f"    against {label:<22} {shares}")
