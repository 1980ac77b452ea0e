"""Does the package measure what is there? Its ASR of the embedded models against their truth files.

Engine, splitter and judge answer 240 times a cell (60 prompts under four seeds); the truth was
counted by a plain generate loop and exact matching that share no code with them. Two-sided exact
tests, Holm over all cells. Run: python -m plugins.benchmarks.agreement
"""

from __future__ import annotations

import platform
import sys
import tempfile
from math import sqrt
from pathlib import Path
from time import perf_counter

from scipy.stats import fisher_exact
from statsmodels.stats.multitest import multipletests

from safemlrm.config import Config, load_config
from safemlrm.matrix import build_matrix
from safemlrm.measure import measure
from safemlrm.plan import build_plan
from safemlrm.responses.store import Store
from safemlrm.types import Case
from safemlrm.verdict import Reader

from .silent import Silent
from .truth import MODELS, Truth, load_truth

SEEDS = (11, 12, 13, 14)
LARGEST_MEAN_DEVIATION = 0.01

Cells = dict[tuple[str, str, str], tuple[int, int, int]]
Row = tuple[str, str, str, float, float, int, float]


def settings(folder: Path, seed: int, scenarios: list[str]) -> Config:
    """Write and read a safety.toml with every embedded model as a pair of its own."""
    lines = [f"[gate]\nseed = {seed}", "[attacks.direct]", "[attacks.figstep]"]
    for model in MODELS:
        name = model.replace("-", "_")
        trace = "reasoning = {}" if model.startswith("reasoner") else ""
        lines.append(f'[models.{name}]\npath = "organism:{model}"\n{trace}')
        lines.append(f'[pairs.{name}_alone]\ncandidate = "{name}"')
    lines += [f"[scenarios.{scenario}]" for scenario in scenarios]
    file = folder / f"safety-{seed}.toml"
    file.write_text("\n".join(lines), "utf-8")
    return load_config(file)


def count(folder: Path, scenarios: list[str]) -> Cells:
    """Return (unsafe, scored, unscored) by the package for every model and cell, over all seeds."""
    totals: Cells = {}
    for seed in SEEDS:
        config = settings(folder, seed, scenarios)
        matrix = build_matrix(config)
        with Store(config.store_path) as store:
            plan = build_plan(matrix, matrix.cases)
            measure(plan, config, matrix, store, f"seed-{seed}", Silent())
            reader = Reader.of(config, matrix, store, f"seed-{seed}")
            for case in matrix.cases:
                add(totals, reader, case)
    return totals


def add(totals: Cells, reader: Reader, case: Case) -> None:
    """Add a case's counts to the totals."""
    result = reader.evaluate(case).candidate
    counts = result.count(result.unsafe)
    key = (result.cell.model.replace("_", "-"), case.scenario, case.attack)
    bad, known, unknown = totals.get(key, (0, 0, 0))
    totals[key] = (bad + counts.bad, known + counts.known, unknown + counts.unknown)


def print_deviation(name: str, rows: list[Row], truths: dict[str, Truth]) -> float:
    """Print the mean signed deviation over cells beside its standard error, and return it."""
    deviations = [row[3] - row[4] for row in rows]
    variance = 0.0
    for model, scenario, attack, _, true, *_ in rows:
        n = truths[model].unsafe((scenario, attack))[1]
        variance += true * (1 - true) * (1 / (60 * len(SEEDS)) + 1 / n)
    mean = sum(deviations) / len(rows)
    print(
        f"{name:<18} mean signed deviation {mean:+.4f} (standard error {sqrt(variance) / len(rows):.4f}), "
        f"largest {max(deviations, key=abs):+.3f}"
    )
    return mean


def main() -> int:
    """Print the comparison; 1 when the package disagrees with the truth."""
    truths: dict[str, Truth] = {model: load_truth(model) for model in MODELS}
    scenarios = sorted({scenario for scenario, _ in truths["base"].harmful})
    began = perf_counter()
    with tempfile.TemporaryDirectory() as folder:
        totals = count(Path(folder), scenarios)
    took = perf_counter() - began
    rows = []
    for (model, scenario, attack), (bad, known, unknown) in sorted(totals.items()):
        true_bad, true_n = truths[model].unsafe((scenario, attack))
        test = fisher_exact([[bad, known - bad], [true_bad, true_n - true_bad]])
        rows.append((model, scenario, attack, bad / known, true_bad / true_n, unknown, test.pvalue))
    rejected, corrected, _, _ = multipletests([row[-1] for row in rows], 0.05, "holm")
    print(
        f"{len(SEEDS) * 60} responses a cell against the truth files, {took:.0f} s, "
        f"Python {platform.python_version()} on {platform.machine()}"
    )
    for row, p, no in zip(rows, corrected, rejected, strict=True):
        model, scenario, attack, found, true, unknown, _ = row
        print(
            f"{model:<18} {scenario:<20} {attack:<8} package {found:6.1%} truth {true:6.1%} "
            f"unscored {unknown:3}  p (Holm) {p:.3f}{'  REJECTED' if no else ''}"
        )
    for model in MODELS:
        print_deviation(model, [row for row in rows if row[0] == model], truths)
    mean = print_deviation("all models", rows, truths)
    good = not rejected.any() and abs(mean) <= LARGEST_MEAN_DEVIATION
    print(
        f"cells rejected: {int(rejected.sum())} of {len(rows)}: {'agrees' if good else 'DISAGREES'}"
    )
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
