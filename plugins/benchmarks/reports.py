"""Are reports quick and small? The page, JSON and JUnit of 500 cases of 100 prompts.

From decisions made of counts: 50 scenarios under 10 attacks, 100 prompts each, two models, two metrics
a case; the page with the worst responses of as many cases as it lists in full, each of 20,000
characters. Exits 1 when they take more than 5 s together or the page more than 3 MB.
Run: python -m plugins.benchmarks.reports
"""

from __future__ import annotations

import json
import platform
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from xml.etree import ElementTree

from fixtures.summaries import summary, worst_rows
from safemlrm.reporting.page import Facts, render
from safemlrm.reporting.page.build import write_page
from safemlrm.reporting.page.publish import MOST
from safemlrm.reporting.summary import write_summary

SCENARIOS, ATTACKS = 50, 10
MOST_SECONDS, MOST_BYTES = 5.0, 3_000_000
REPEATS = 3


def seconds(work: Callable[[], object]) -> float:
    """Return the median time of a piece of work after one that imports what it needs."""
    work()
    times = []
    for _ in range(REPEATS):
        began = time.perf_counter()
        work()
        times.append(time.perf_counter() - began)
    return statistics.median(times)


def junit(folder: Path, decisions: Sequence[object]) -> None:
    """Write a test case a decision with the decision as a property, as pytest does."""
    suite = ElementTree.Element("testsuite")
    for number, decision in enumerate(decisions):
        case = ElementTree.SubElement(suite, "testcase", name=f"case-{number}")
        properties = ElementTree.SubElement(case, "properties")
        ElementTree.SubElement(
            properties, "property", name="safety.decisions", value=json.dumps(decision)
        )
    ElementTree.ElementTree(suite).write(folder / "junit.xml", encoding="utf-8")


def main() -> int:
    """Print a line a report, and whether they keep within what they may take."""
    found = summary(SCENARIOS, ATTACKS)
    subjects = {(d["pair"], d["scenario"], d["attack"]) for d in found["decisions"]}
    rows = worst_rows("x" * 20_000, [f"p-{n:03}" for n in range(10)])
    worst = {subject: rows for subject in sorted(subjects)[:MOST]}
    facts = Facts("FAILED", datetime.now(UTC), "pytest safety_tests", attach="full")
    account = {"base": {"asked": 50_000.0, "stored": 0.0, "seconds": 60.0}}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        took = {
            "index.html": seconds(
                lambda: write_page(render(found, account, [], worst, facts), folder)
            ),
            "summary.json": seconds(lambda: write_summary(found, folder)),
            "junit.xml": seconds(lambda: junit(folder, found["decisions"])),
        }
        sizes = {report: (folder / report).stat().st_size for report in took}
    print(f"{len(subjects)} cases, {len(found['decisions'])} decisions; {platform.machine()}")
    for report, spent in took.items():
        print(f"{report:<14}{spent:6.2f} s {sizes[report]:>10,} bytes")
    total = sum(took.values())
    print(f"{'together':<14}{total:6.2f} s (at most {MOST_SECONDS:g} s, page {MOST_BYTES:,} bytes)")
    return int(total > MOST_SECONDS or sizes["index.html"] > MOST_BYTES)


if __name__ == "__main__":
    sys.exit(main())
