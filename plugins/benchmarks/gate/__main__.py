"""Print every row; 1 when something that must hold does not. Arguments: builds a row."""

from __future__ import annotations

import platform
import sys
from collections.abc import Iterator
from time import perf_counter

from .alarms import SEED, report_alarms, report_tax
from .check import report_check
from .cost import report_cost, report_flips
from .coupling import report_coupling
from .designs import REFERENCE, Design, organisms, published
from .families import EVERYTHING, family, frozen, gateable
from .memory import remember
from .power import report_chain, report_everywhere, report_one_cell
from .report import Report
from .worst import report_worst

BUILDS = 1000
PUBLISHED = {
    "R1-Onevision-7B": "Qwen2.5-VL-7B-Instruct",
    "Mulberry-LLaVA-8B": "LLaVA-NeXT-Llama3-8B",
}


def designs(report: Report) -> Iterator[tuple[Design, Design]]:
    """Yield the models with their bases."""
    for model in ("reasoner-aligned", "reasoner-degraded"):
        yield organisms(model), organisms("base")
    if not REFERENCE.is_file():
        report.head(f"{REFERENCE} is not there: the seed's published cells are left out")
        return
    for model, base in PUBLISHED.items():
        yield published(model), published(base)


def report_design(report: Report, design: Design, base: Design, builds: int) -> None:
    """Print a model's rows."""
    able, began = gateable(family(design, frozen(design))), perf_counter()
    cells, rates = len(design.harmful), [design.rate(cell) for cell in design.harmful]
    report.head(
        f"{design.name}: {cells} harmful cells at {min(rates):.0%} to {max(rates):.0%}, of them "
        f"{cells - len(able)} ungateable at the true rate + 5 points with ASR gated alone; "
        f"{len(design.benign)} benign cells"
    )
    ledger = family(design, frozen(design), EVERYTHING, confirm=True).ledger
    parts = [f"{name} {float(ledger.alpha * part):.2%}" for name, part in ledger.shares.items()]
    report.line(f"shares of alpha with every family in use: {', '.join(parts)}")
    report_check(report, design)
    report_alarms(report, design, base, builds)
    report_tax(report, design, builds)
    report_one_cell(report, design, builds)
    report_everywhere(report, design, builds)
    report_chain(report, design, builds)
    report_cost(report, design, builds)
    report_flips(report, design)
    report.line(f"{perf_counter() - began:.0f} s")


def main() -> int:
    """Print every row; 1 when something that must hold does not."""
    builds = int(sys.argv[1]) if len(sys.argv) > 1 else BUILDS
    report, began = Report(), perf_counter()
    remember()
    print(
        f"{builds} builds a row, seed {SEED}; shares with their 95% Clopper-Pearson bounds. ICC: how "
        "far the answers to a prompt under its attacks move together"
    )
    for design, base in designs(report):
        report_design(report, design, base, builds)
    report_coupling(report, builds)
    report_worst(report, builds)
    report.head(
        f"{report.broken} bounds broken, {report.missed} targets missed; {perf_counter() - began:.0f} s, "
        f"Python {platform.python_version()} on {platform.machine()}"
    )
    return 1 if report.broken else 0


if __name__ == "__main__":
    sys.exit(main())
