"""Does a corrected ASR hold, and are unequal error rates found? 1,000 builds of a judge with known errors.

Each build draws one response a prompt from the truth pool of the embedded models, lets a scripted judge
rule with known sensitivity and specificity, draws labels as `safemlrm audit --draw` does, and corrects
the judged ASR by them. Beside the product's interval stand three that it could have been: labels alone,
prediction-powered inference with a normal interval, and Rogan-Gladen with the interval of Lang and
Reiczigel (2014, Preventive Veterinary Medicine 113). Last comes kappa's interval on plain samples.
Run: python -m plugins.benchmarks.judge_error [builds]
"""

from __future__ import annotations

import sys
from collections import Counter
from dataclasses import dataclass
from math import sqrt
from statistics import NormalDist

import numpy as np
from numpy.typing import NDArray

from safemlrm.audit import Judged, draw
from safemlrm.metrics.agreement import Confusion, cohen_kappa
from safemlrm.metrics.judge_error import corrected_asr, equal_errors
from safemlrm.metrics.rates import clopper_pearson
from safemlrm.types import Cell, Estimate

from .truth import load_truth

BUILDS = 1000
LABELS = 100
SEED = 8
TARGET = 0.93
LEVEL = 0.05
Z = NormalDist().inv_cdf(0.975)
Interval = tuple[float, float]


@dataclass(frozen=True, slots=True)
class Errors:
    """How often a scripted judge finds unsafe responses, and lets safe ones be."""

    sensitivity: float
    specificity: float

    def __str__(self) -> str:
        return f"se {self.sensitivity:.2f} sp {self.specificity:.2f}"


JUDGES = (Errors(0.97, 0.97), Errors(0.9, 0.9), Errors(0.7, 0.97), Errors(0.95, 0.8))
SOURCES = (
    ("base",),
    ("reasoner-aligned",),
    ("base", "reasoner-degraded"),
    ("reasoner-degraded",),
)
UNEQUAL = (
    (Errors(0.95, 0.95), Errors(0.7, 0.95)),
    (Errors(0.95, 0.98), Errors(0.95, 0.85)),
    (Errors(0.95, 0.98), Errors(0.7, 0.85)),
)


@dataclass(frozen=True)
class Pool:
    """One model's prompts with the chance that a response is unsafe, as responses to be judged."""

    rates: NDArray[np.float64]
    responses: tuple[tuple[Judged, Judged], ...]
    """Each prompt's response, as judged safe and as judged unsafe."""

    @property
    def truth(self) -> float:
        """The ASR that a build's corrected one estimates."""
        return float(self.rates.mean())


@dataclass(frozen=True, slots=True)
class Labelled:
    """What an audit has of one build: the labels against the verdicts, and all verdicts."""

    table: Confusion
    judged: Estimate


def pool_of(*models: str) -> Pool:
    """Return the pool of an embedded model, or of several as if they were one."""
    rates: list[float] = []
    responses = []
    cells = [item for model in models for item in sorted(load_truth(model).harmful.items())]
    for (scenario, attack), prompts in cells:
        cell = Cell("+".join(models), scenario, attack)
        for prompt, counts in sorted(prompts.items()):
            rates.append((counts[0] + counts[2]) / sum(counts))
            key = f"{len(rates):05d}"
            safe, unsafe = (
                Judged(key, cell, prompt, "refuse", verdict, None, seen=True)
                for verdict in (False, True)
            )
            responses.append((safe, unsafe))
    return Pool(np.array(rates), tuple(responses))


def build(pool: Pool, judge: Errors, labels: int, random: np.random.Generator) -> Labelled:
    """Return one build with its verdicts and labels."""
    unsafe = random.random(len(pool.rates)) < pool.rates
    caught = np.where(unsafe, judge.sensitivity, 1 - judge.specificity)
    verdicts = random.random(len(pool.rates)) < caught
    judged = [both[int(v)] for both, v in zip(pool.responses, verdicts, strict=True)]
    drawn = draw(judged, labels, int(random.integers(2**32)))
    found = Counter((bool(j.unsafe), bool(unsafe[int(j.key) - 1])) for j in drawn)
    return Labelled(table_of(found), clopper_pearson(int(verdicts.sum()), len(verdicts)))


def table_of(found: Counter[tuple[bool, bool]]) -> Confusion:
    """Return counts of (judge, person) as a table."""
    return Confusion(found[True, True], found[True, False], found[False, True], found[False, False])


def normal_ppi(build: Labelled) -> Interval:
    """Return prediction-powered inference with lambda = 1 and a normal interval."""
    table, judged = build.table, build.judged
    error = (table.person - table.judge) / table.n
    spread = ((table.person + table.judge) / table.n - error**2) / table.n
    half = Z * sqrt(judged.value * (1 - judged.value) / judged.n + spread)
    return judged.value + error - half, judged.value + error + half


def rogan_gladen(build: Labelled) -> Interval:
    """Return the interval of Lang and Reiczigel, all where the judge is no better than chance."""
    table, judged = build.table, build.judged
    of_unsafe, of_safe = table.unsafe + 2, table.n - table.unsafe + 2
    finds, spares = (table.both + 1) / of_unsafe, (table.neither + 1) / of_safe
    n = judged.n + Z**2
    apparent = (judged.successes + Z**2 / 2) / n
    youden = finds + spares - 1
    if youden <= 0:
        return 0.0, 1.0
    value = (apparent + spares - 1) / youden
    by_finds, by_spares = finds * (1 - finds) / of_unsafe, spares * (1 - spares) / of_safe
    shift = 2 * Z**2 * (value * by_finds - (1 - value) * by_spares)
    spread = apparent * (1 - apparent) / n + value**2 * by_finds + (1 - value) ** 2 * by_spares
    half = Z * sqrt(spread) / youden
    return max(0.0, value + shift - half), min(1.0, value + shift + half)


def intervals(build: Labelled) -> dict[str, Interval]:
    """Return the product's interval and those it is compared with."""
    found = corrected_asr(build.table, build.judged)
    alone = clopper_pearson(build.table.unsafe, build.table.n)
    return {
        "product": (found.low, found.high),
        "labels": (alone.low, alone.high),
        "normal PPI": normal_ppi(build),
        "Rogan-Gladen": rogan_gladen(build),
        "judged, uncorrected": (build.judged.low, build.judged.high),
    }


def coverage(pool: Pool, judge: Errors, builds: int, seed: int) -> dict[str, tuple[float, float]]:
    """Return each interval's coverage of the pool's ASR and its mean width."""
    random = np.random.default_rng(seed)
    hits: Counter[str] = Counter()
    widths: Counter[str] = Counter()
    for _ in range(builds):
        for name, (low, high) in intervals(build(pool, judge, LABELS, random)).items():
            hits[name] += low <= pool.truth <= high
            widths[name] += high - low  # type: ignore[assignment]  # a Counter adds floats as well
    return {name: (hits[name] / builds, widths[name] / builds) for name in hits}


def rejected(
    pools: tuple[Pool, Pool], judges: tuple[Errors, Errors], labels: int, builds: int, seed: int
) -> float:
    """Return in what share of builds the judge is found to err otherwise on one model."""
    random = np.random.default_rng(seed)
    found = 0
    for _ in range(builds):
        base, candidate = (
            build(pool, judge, labels, random).table
            for pool, judge in zip(pools, judges, strict=True)
        )
        found += equal_errors(candidate, base).p_value <= LEVEL
    return found / builds


def kappa_coverage(rate: float, judge: Errors, labels: int, seed: int) -> tuple[float, float]:
    """Return how often kappa's interval holds the true kappa, and its lower end stays below it."""
    shares = (
        rate * judge.sensitivity,
        (1 - rate) * (1 - judge.specificity),
        rate * (1 - judge.sensitivity),
        (1 - rate) * judge.specificity,
    )
    a, b, c, d = shares
    chance = (a + b) * (a + c) + (c + d) * (b + d)
    true = (a + d - chance) / (1 - chance)
    drawn = np.random.default_rng(seed).multinomial(labels, shares, size=BUILDS)
    found = [cohen_kappa(Confusion(*map(int, counts))) for counts in drawn]
    held = sum(kappa.low <= true <= kappa.high for kappa in found)
    return held / BUILDS, sum(kappa.low <= true for kappa in found) / BUILDS


def show_coverage(builds: int) -> bool:
    """Print the coverage of corrected ASRs; whether the product's holds."""
    good = True
    for models in SOURCES:
        pool = pool_of(*models)
        print(
            f"\n{' and '.join(models)}: true ASR {pool.truth:.1%}, {len(pool.rates)} responses a build"
        )
        for judge in JUDGES:
            found = coverage(pool, judge, builds, SEED)
            good &= found["product"][0] >= TARGET
            print(
                f"  {judge}  "
                + "  ".join(
                    f"{name} {share:.1%} (width {w:.3f})" for name, (share, w) in found.items()
                )
                + ("" if found["product"][0] >= TARGET else "  BELOW 93%")
            )
    return good


def show_equal_errors(builds: int) -> bool:
    """Print how often error rates are called unequal where they are, and where they are not."""
    good = True
    degraded, base = pool_of("reasoner-degraded"), pool_of("base")
    print(
        f"\nerror rates of base and candidate differ at {LEVEL:.0%} (Fisher, Holm), share of builds"
    )
    for name, pools in (
        ("degraded against base", (base, degraded)),
        ("two degraded models", (degraded, degraded)),
    ):
        for labels in (100, 200):
            for judge in JUDGES:
                share = rejected(pools, (judge, judge), labels, builds, SEED)
                good &= share <= LEVEL
                print(f"  {name}, {labels} labels each: equal, {judge}: {share:.1%}")
            for judges in UNEQUAL:
                share = rejected(pools, judges, labels, builds, SEED)
                print(
                    f"  {name}, {labels} labels each: {judges[0]} against {judges[1]}: found {share:.1%}"
                )
    return good


def show_kappa() -> None:
    """Print the coverage of kappa's interval."""
    print("\nkappa: share of samples whose interval holds it, and whose lower end is below it")
    for rate in (0.05, 0.3):
        for judge in (*JUDGES, Errors(0.99, 0.99)):
            found = [kappa_coverage(rate, judge, labels, SEED) for labels in (30, 100)]
            print(
                f"  unsafe {rate:.0%}, {judge}: "
                + ", ".join(
                    f"{labels} labels {held:.1%}, {below:.1%}"
                    for labels, (held, below) in zip((30, 100), found, strict=True)
                )
            )


def main() -> int:
    """Print the figures; 1 when a corrected ASR covers too little or equal errors are called unequal."""
    builds = int(sys.argv[1]) if len(sys.argv) > 1 else BUILDS
    print(f"{builds} builds, {LABELS} labels unless said, seed {SEED}; 95% intervals")
    good = show_coverage(builds)
    good &= show_equal_errors(builds)
    show_kappa()
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
