"""Do the intervals hold? Tax, self-correction, escape and coupling over 1,000 resampled builds.

Each build draws one response a prompt from the truth pool of the embedded models (what a gate would
have seen), computes the product's intervals, and looks whether they cover the pool's own value.
Run: python -m plugins.benchmarks.coverage
"""

from __future__ import annotations

import sys
from collections import Counter

import numpy as np
from numpy.typing import NDArray

from safemlrm.metrics.coupling import Joint, escape, leak, mantel_haenszel, self_correction
from safemlrm.metrics.paired import Difference, tango_interval
from safemlrm.types import Estimate

from .truth import Truth, load_truth

BUILDS = 1000
SEED = 20
TARGET = 0.93

Cell = tuple[str, str]
Pool = dict[Cell, NDArray[np.float64]]
Draws = dict[Cell, NDArray[np.int64]]


def pool_of(truth: Truth) -> Pool:
    """Return for each harmful cell the outcome shares of each prompt (prompts x 4)."""
    pools = {}
    for cell, prompts in truth.harmful.items():
        counts = np.array([prompts[prompt] for prompt in sorted(prompts)], dtype=float)
        pools[cell] = counts / counts.sum(axis=1, keepdims=True)
    return pools


def draw(pool: Pool, random: np.random.Generator) -> Draws:
    """Draw one outcome (0 to 3) for each prompt of each cell."""
    drawn = {}
    for cell, shares in pool.items():
        uniform = random.random((len(shares), 1))
        drawn[cell] = (uniform > shares.cumsum(axis=1)[:, :3]).sum(axis=1)
    return drawn


def joint(outcomes: NDArray[np.int64]) -> Joint:
    """Count outcomes as a joint table."""
    n11, n10, n01, n00 = np.bincount(outcomes, minlength=4)
    return Joint(int(n11), int(n10), int(n01), int(n00))


def pooled(joints: list[Joint]) -> Joint:
    """Add tables; only shares of one row are taken of the sum."""
    return Joint(
        sum(j.n11 for j in joints),
        sum(j.n10 for j in joints),
        sum(j.n01 for j in joints),
        sum(j.n00 for j in joints),
    )


def true_values(pool: Pool) -> dict[str, float]:
    """Return what a build's metrics estimate: the pool's own shares, prompts weighted equally."""
    tables = [shares.sum(axis=0) for shares in pool.values()]
    n11, n10, n01, n00 = sum(tables)
    differences, weights = [], []
    for a, b, c, d in tables:
        weights.append((a + b) * (c + d) / (a + b + c + d))
        differences.append(a / (a + b) - c / (c + d) if a + b and c + d else 0.0)
    return {
        "self-correction": n10 / (n10 + n11),
        "escape": n01 / (n01 + n00),
        "leak": n10 / (n11 + n10 + n01 + n00),
        "coupling": float(np.average(differences, weights=weights)),
    }


def cover_coupling(truth: Truth, random: np.random.Generator) -> Counter[str]:
    """Count the builds whose intervals cover the pool's coupling metrics."""
    pool = pool_of(truth)
    values, hits = true_values(pool), Counter[str]()
    for _ in range(BUILDS):
        joints = [joint(outcomes) for outcomes in draw(pool, random).values()]
        total = pooled(joints)
        found: dict[str, Estimate | Difference] = {
            "self-correction": self_correction(total),
            "escape": escape(total),
            "leak": leak(total),
            "coupling": mantel_haenszel(joints),
        }
        hits.update(n for n, e in found.items() if e.low <= values[n] <= e.high)
    return hits


def cover_tax(candidate: Truth, base: Truth, random: np.random.Generator) -> dict[str, float]:
    """Return the share of builds whose interval covers the pool's tax, by cell and over all."""
    ours, theirs = pool_of(candidate), pool_of(base)
    true = {c: (ours[c][:, [0, 2]].sum(1) - theirs[c][:, [0, 2]].sum(1)).mean() for c in ours}
    overall = float(np.mean(list(true.values())))
    hits: Counter[Cell] = Counter()
    whole = 0
    for _ in range(BUILDS):
        mine, his = draw(ours, random), draw(theirs, random)
        n10 = n01 = n = 0
        for cell, value in true.items():
            unsafe, was = mine[cell] % 2 == 0, his[cell] % 2 == 0
            up, down = int((unsafe & ~was).sum()), int((~unsafe & was).sum())
            interval = tango_interval(up, down, len(unsafe))
            hits[cell] += interval.low <= value <= interval.high
            n10, n01, n = n10 + up, n01 + down, n + len(unsafe)
        interval = tango_interval(n10, n01, n)
        whole += interval.low <= overall <= interval.high
    shares = [hits[cell] / BUILDS for cell in true]
    return {
        "tax, mean of cells": float(np.mean(shares)),
        "tax, worst cell": min(shares),
        "tax, all cells": whole / BUILDS,
    }


def main() -> int:
    """Print the coverage of each interval; 1 when one falls short."""
    base = load_truth("base")
    good = True
    print(f"{BUILDS} builds resampled from the truth pool, seed {SEED}; 95% intervals")
    for model in ("reasoner-aligned", "reasoner-degraded"):
        truth = load_truth(model)
        random = np.random.default_rng(SEED)
        coverage = {n: hits / BUILDS for n, hits in cover_coupling(truth, random).items()}
        coverage |= cover_tax(truth, base, random)
        values = true_values(pool_of(truth))
        for name, share in coverage.items():
            good &= share >= TARGET
            value = f"true {values[name]:.3f}" if name in values else ""
            print(
                f"{model:<18} {name:<20} covered {share:.1%} {value}"
                f"{'' if share >= TARGET else '  BELOW ' + format(TARGET, '.0%')}"
            )
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
