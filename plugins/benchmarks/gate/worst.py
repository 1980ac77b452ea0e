"""Wrong early PASS where the whole cell would just fail: exactly, and as the engine returns answers."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from fractions import Fraction
from math import ceil

import numpy as np

from safemlrm.decision import stopped_count
from safemlrm.evidence import Bad, Counts
from safemlrm.family import FIRST, Hypothesis, Zones
from safemlrm.limits import METRIC, Limit
from safemlrm.metrics.binomial import critical_count, detectable_rate, pass_count
from safemlrm.rounds import STEP
from safemlrm.stopping import BETA, count_stop, stopping_rule
from safemlrm.types import Case, Verdict

from .report import Report, estimate, share

SEED = 5
SIZES = (*range(FIRST + 1, 61), 64, 72, 80, 97, 109, 130, 139, 144, 154, 163, 167)
LIMITS = tuple(
    Fraction(t, 100) for t in (1, 2, 3, 5, 8, 10, 15, 20, 25, 30, 35, 40, 50, 60, 70, 80, 90)
)
LEVELS = (0.05, 0.02, 0.02 / 4, 0.02 / 10, 0.02 / 20, 0.02 / 40, 0.02 / 180)
RETURNS = ("random", "safe first", "unsafe first", "reversed")
# Batch size, and how many cells share a round: alone, a cell is asked 64 prompts at a time.
ENGINES = ((1, 1), (64, 1), (64, 20))
Random = np.random.Generator


def hypothesis(n: int, limit: Fraction, level: float) -> Hypothesis:
    """Return a cell's ASR hypothesis."""
    kc = critical_count(n, limit, level)
    zones = Zones(pass_count(n, limit), kc, detectable_rate(n, kc))
    case = Case("pair", "scenario", "attack")
    return Hypothesis(case, METRIC["asr"], Limit(limit, "at_most", "grid"), n, level, zones)


def wrong_pass(h: Hypothesis) -> float:
    """Return the chance, over the orders, that a cell with exactly kc unsafe prompts passes early.

    The chance of each count among the prompts so far is carried from prompt to prompt.
    """
    assert h.zones is not None
    kc, decided = h.zones.fails_from, stopping_rule(h)
    alive, wrong = {0: 1.0}, 0.0
    for n in range(1, h.n):
        after: dict[int, float] = {}
        for bad, chance in alive.items():
            risk = (kc - bad) / (h.n - n + 1)
            for count, part in ((bad, 1 - risk), (bad + 1, risk)):
                if part > 0:
                    after[count] = after.get(count, 0.0) + chance * part
        stopped = {bad for bad in after if decided(n, bad, bad)}
        wrong += sum(after[bad] for bad in stopped if bad < kc)
        alive = {bad: chance for bad, chance in after.items() if bad not in stopped}
    return wrong


def arrivals(
    outcomes: list[bool], returns: str, batch: int, live: int, random: Random
) -> Iterator[list[int]]:
    """Yield the positions that come back together, round by round."""
    start, end = 0, min(FIRST, len(outcomes))
    while start < len(outcomes):
        places = list(range(start, end))
        if returns == "random":
            places = random.permutation(places).tolist()
        elif returns == "reversed":
            places.reverse()
        else:
            places.sort(key=lambda place: outcomes[place] is (returns == "safe first"))
        yield from (places[i : i + batch] for i in range(0, len(places), batch))
        start, end = end, min(end + max(STEP, ceil(batch / live)), len(outcomes))


def seen(h: Hypothesis, outcomes: list[bool], parts: Iterator[list[int]]) -> bool:
    """Whether a cell passes early when it is decided after every arrival, gaps being unknown."""
    known: list[Bad] = []
    for places in parts:
        known += [None] * (max(places) + 1 - len(known))
        for place in places:
            known[place] = outcomes[place]
        stop = count_stop(h, known)
        if stop is not None and stop < h.n:
            prefix = known[:stop]
            counts = Counts(prefix.count(True), prefix.count(None), stop)
            return stopped_count(h, counts).verdict is Verdict.PASS
    return False


def fooled(h: Hypothesis, outcomes: list[bool], parts: Iterator[list[int]]) -> bool:
    """The same for a gate that counts answers as they come back, which the product never does."""
    came: list[Bad] = []
    for places in parts:
        came += [outcomes[place] for place in places]
        stop = count_stop(h, came)
        if stop is not None and stop < h.n:
            return came[:stop].count(True) < (h.zones.fails_from if h.zones else 0)
    return False


def report_worst(report: Report, builds: int) -> None:
    """Print the exact worst case over a grid, and simulations of some of its designs."""
    report.head("wrong early PASS: exactly kc unsafe prompts, so that the whole cell fails")
    every = [hypothesis(n, t, level) for n in SIZES for t in LIMITS for level in LEVELS]
    # The level matters through kc alone.
    grid = {
        (h.n, h.limit.value, h.zones): h for h in every if h.zones and h.zones.fails_from <= h.n
    }
    worst, where = max(((wrong_pass(h), h) for h in grid.values()), key=lambda found: found[0])
    assert where.zones is not None
    report.line(
        f"exact, {len(grid)} gateable designs of {SIZES[0]}-{SIZES[-1]} prompts: at most {worst:.2%} "
        f"{report.must(worst <= BETA, 'at most 5%')}, at N = {where.n}, t = {float(where.limit.value):g}, "
        f"kc = {where.zones.fails_from}"
    )
    for h in (
        where,
        hypothesis(97, Fraction(1, 10), 0.001),
        hypothesis(60, Fraction(7, 20), 0.001),
    ):
        simulate(report, h, builds)


def simulate(report: Report, h: Hypothesis, builds: int) -> None:
    """Print the share of wrong early PASS of one design for every return order and engine."""
    assert h.zones is not None
    kc = h.zones.fails_from
    report.line(
        f"N = {h.n}, t = {float(h.limit.value):g}, kc = {kc}: exact {wrong_pass(h):.2%}; simulated for "
        "batches of 1, of 64, and of 64 that 20 cells share"
    )
    for returns in RETURNS:
        wrong, fool = (
            [hits(h, returns, batch, live, builds, look) for batch, live in ENGINES]
            for look in (seen, fooled)
        )
        held = report.must(all(estimate(k, builds).low <= BETA for k in wrong), "at most 5%")
        report.line(
            f"  {returns:<12} {', '.join(share(k, builds) for k in wrong)} {held}; counted as they "
            f"come {', '.join(share(k, builds) for k in fool)}"
        )


def hits(
    h: Hypothesis,
    returns: str,
    batch: int,
    live: int,
    builds: int,
    look: Callable[[Hypothesis, list[bool], Iterator[list[int]]], bool],
) -> int:
    """Count the builds that pass early; every way of looking sees the same orders."""
    assert h.zones is not None
    kc, found = h.zones.fails_from, 0
    for build in range(builds):
        random = np.random.default_rng([SEED, build])
        outcomes = (random.permutation(h.n) < kc).tolist()
        found += look(h, outcomes, arrivals(outcomes, returns, batch, live, random))
    return found
