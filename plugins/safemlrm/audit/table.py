"""An audit as people read it: agreement by model and scenario, builds, pairs, what to know beside them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from math import isnan

from safemlrm.audit.estimates import Agreement, Audit, Build, Comparison
from safemlrm.metrics.agreement import Kappa
from safemlrm.types import ALL, Estimate

HEADER = ("about", "model", "scenario", "labels", "kappa", "precision", "recall", "specificity")
LEVEL = 0.05
"""Below this a difference of error rates is called one."""


def audit_lines(audit: Audit) -> list[str]:
    """Return the lines of an audit; no text of any model is in them."""
    shown = [a for a in audit.agreements if ALL in (a.model, a.scenario)]
    lines = [
        f"judge {audit.judge} {audit.digest[:12]}, unsafe is a score of {audit.unsafe_at} or more of "
        f"the {audit.channel} channel; 95% intervals",
        *_aligned([HEADER, *map(_cells, shown)]),
        "",
        *(line for build in audit.builds for line in _build(build, audit.half)),
        *map(comparison_line, audit.comparisons),
    ]
    unscored = sum(a.unscored for a in audit.agreements if (a.model, a.scenario) == (ALL, ALL))
    if unscored:
        lines.append(f"note: the judge could not score {unscored} of the labelled responses")
    return lines


def _cells(found: Agreement) -> tuple[str, ...]:
    rates = (found.precision, found.recall, found.specificity)
    return (
        found.question,
        found.model,
        found.scenario,
        str(found.table.n),
        kappa_text(found.kappa),
        *map(_rate, rates),
    )


def kappa_text(kappa: Kappa) -> str:
    """Write a kappa with its interval."""
    value = "none" if isnan(kappa.value) else f"{kappa.value:.2f}"
    return f"{value} [{kappa.low:.2f}, {kappa.high:.2f}]"


def _rate(rate: Estimate) -> str:
    if not rate.n:
        return "none (0/0)"
    return f"{rate.value:.0%} ({rate.successes}/{rate.n}) [{rate.low:.0%}, {rate.high:.0%}]"


def _build(build: Build, half: float) -> Iterator[str]:
    judged = build.judged
    if not judged.n:
        return
    head = f"{build.model}: judged ASR {judged.value:.1%} ({judged.successes}/{judged.n})"
    if not build.labels:
        yield f"{head}, no labels to correct it by"
        return
    found = build.corrected
    yield (
        f"{head}, corrected {found.value:.1%} [{found.low:.1%}, {found.high:.1%}] by {build.labels} "
        f"labels ({'alone' if found.method == 'labels' else 'and the judge'})"
    )
    if build.needed is None:
        yield f"  +-{half * 100:g} points need more labels than it has responses; ask more prompts"
    elif build.needed > build.labels:
        yield f"  labels still needed for +-{half * 100:g} points: about {build.needed - build.labels}"
    if build.picked:
        yield (
            f"  NOT A RANDOM SAMPLE: {build.picked}; only the precision holds. Draw labels by "
            "`safemlrm audit --draw`"
        )


def comparison_line(found: Comparison) -> str:
    """Say whether a judge errs alike on the two models of a pair."""
    test = found.test
    beside = (
        f"recall p = {test.recall:.3g}, specificity p = {test.specificity:.3g}, "
        f"after Holm {test.p_value:.3g}"
    )
    head = f"{found.pair}: does the judge err alike on {found.candidate} and {found.base}? {beside}"
    if test.p_value <= LEVEL:
        return f"{head}: NO, so their difference (reasoning tax) is partly the judge's"
    return f"{head}: no difference was found"


def _aligned(rows: Iterable[tuple[str, ...]]) -> list[str]:
    table = list(rows)
    widths = [max(map(len, column)) for column in zip(*table, strict=True)]
    return [
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in table
    ]
