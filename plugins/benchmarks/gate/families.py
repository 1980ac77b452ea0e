"""The limits of a simulated gate, and the product's own family for them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from fractions import Fraction
from math import ceil
from pathlib import Path

import numpy as np

from safemlrm.config import Config, Model, Override
from safemlrm.config.schema import AttackTable, Coupling, Gate, Limits, Pair
from safemlrm.config.schema import Scenario as ScenarioTable
from safemlrm.evidence import Counts
from safemlrm.family import Family, Hypothesis, build_families
from safemlrm.limits import METRIC
from safemlrm.matrix import Matrix
from safemlrm.prompts import Scenario
from safemlrm.tune import History
from safemlrm.tune.suggest import limit_value
from safemlrm.types import ALL, Case

from .designs import UNSCORED, Cell, Design, Run
from .simulate import count

PAIR = "pair"
ABOVE = 0.05
TAX = Fraction(1, 10)
RISE = Fraction(2, 100)
EVERYTHING = ("tax", "tiers", "benign", "model")
RATES = {"asr": "harmful", "over_refusal": "benign", "benign_helped": "benign"}
CellLimits = dict[Cell, dict[str, Fraction]]


def family(
    design: Design,
    cells: CellLimits,
    uses: Iterable[str] = (),
    *,
    confirm: bool = False,
    early: bool = True,
    tax: Fraction = TAX,
) -> Family:
    """Return the family of the configuration that limits cells so and uses these families as well."""
    override = tuple(
        Override(scenario=scenario, attack=attack, reason="simulated").model_copy(update=rates)
        for (scenario, attack), rates in cells.items()
        if (scenario, attack) in design.harmful or "benign" in uses
    )
    limits = Limits(override=override).model_copy(update=dict(_pair_limits(design, set(uses), tax)))
    config = Config(
        models={"candidate": Model(), "base": Model()},
        pairs={PAIR: Pair(candidate="candidate", base="base")},
        scenarios={slug: ScenarioTable() for slug in design.sizes},
        attacks={attack: AttackTable() for _, attack in design.cells},
        gate=Gate(stop="early" if early else "full", confirm=confirm),
        limits=limits,
        file=Path("safety.toml"),
    )
    return build_families(config, matrix_of(design))[PAIR]


def matrix_of(design: Design) -> Matrix:
    """Return a design's matrix; its prompts are never asked, so it has none."""
    benign = {slug for slug, _ in design.benign}
    scenarios = {
        slug: Scenario(slug, "", "help" if slug in benign else "refuse", (), n)
        for slug, n in design.sizes.items()
    }
    cases = tuple(Case(PAIR, *cell) for cell in design.cells)
    return Matrix(cases, scenarios, {}, {PAIR: ("candidate", "base")})


def frozen(design: Design, above: float = ABOVE) -> CellLimits:
    """Return the limits of cells: their true rate and so much above, of bad prompts."""
    found: CellLimits = {
        cell: {"asr": _limit(design.rate(cell) + above)} for cell in design.harmful
    }
    for cell, shares in design.benign.items():
        refused, helped = shares[:, 1].mean(), shares[:, 0].mean()
        found[cell] = {
            "over_refusal": _limit(refused + above),
            "benign_helped": _limit(helped - above),
        }
    return found


def tuned(design: Design, runs: list[Run], above: float = ABOVE) -> CellLimits:
    """Return the limits `safemlrm tune` suggests from runs of a model.

    It refuses runs with unscored prompts, of which the embedded models have one in 2,000: here they
    count as not bad.
    """
    found: CellLimits = {}
    for name, side in RATES.items():
        metric = METRIC[name]
        for cell in getattr(design, side):
            seen = [count(run[cell], metric.bad) for run in runs]
            builds = tuple(Counts(counts.bad, 0, counts.n) for counts in seen)
            history = History(Case(PAIR, *cell), metric, builds)
            found.setdefault(cell, {})[name] = limit_value(history, _limit(above))
    return found


def taxes(candidate: Design, base: Design, cells: CellLimits) -> CellLimits:
    """Add limits on the tax: the true one and at least ABOVE, up to a multiple of five points."""
    return {
        cell: rates
        if cell in candidate.benign
        else rates | {"reasoning_tax": _stepped(candidate.rate(cell) - base.rate(cell) + ABOVE)}
        for cell, rates in cells.items()
    }


def _stepped(rate: float) -> Fraction:
    return min(max(Fraction(ceil(rate * 20), 20), Fraction(0)), Fraction(1))


def _limit(rate: float) -> Fraction:
    return Fraction(str(round(min(max(rate, 0.0), 1.0), 4)))


def _pair_limits(
    design: Design, uses: set[str], tax: Fraction
) -> Iterator[tuple[str, Fraction | Coupling]]:
    """Yield limits that are not of single cells: ABOVE the pair's true value, on the bad side."""
    if "tax" in uses:
        yield "reasoning_tax", tax
    if "tiers" in uses:
        yield from (("rise", RISE), ("drift", RISE))
    if "model" in uses and design.channels:
        value = true_values(design)
        yield "self_correction", _limit(value["self_correction"] - ABOVE)
        yield "coupling", Coupling(at_most=_limit(value["coupling"] + ABOVE))
        yield from ((name, _limit(value[name] + ABOVE)) for name in ("escape", "leak"))
        yield from ((name, _limit(ABOVE)) for name in ("unscored", "truncated"))
        yield from ((name, RISE) for name in ("unscored_rise", "truncated_rise"))


def true_values(design: Design) -> dict[str, float]:
    """Return what the metrics of a pair as a whole estimate: means over cells."""
    tables = np.array([shares[:, :UNSCORED].mean(axis=0) for shares in design.harmful.values()])
    both, answer, reasoning, neither = tables.T
    unsafe, safe = both + reasoning, answer + neither
    weight = unsafe * safe / (unsafe + safe)
    apart = both / np.maximum(unsafe, 1e-12) - answer / np.maximum(safe, 1e-12)
    return {
        "self_correction": float(reasoning.sum() / unsafe.sum()),
        "escape": float(answer.sum() / safe.sum()),
        "leak": float(reasoning.mean()),
        "coupling": float((weight * apart).sum() / weight.sum()),
    }


def cell_of(hypothesis: Hypothesis) -> Cell:
    """Return the cell a hypothesis on a case is about."""
    return hypothesis.subject.scenario, hypothesis.subject.attack


def limits_of(found: Family) -> dict[Cell, Hypothesis]:
    """Return the ASR hypotheses of a family by cell."""
    return {cell_of(h): h for h in found.hypotheses if h.metric.family == "limits"}


def gateable(found: Family) -> list[Cell]:
    """Return the cells whose ASR some result could fail."""
    return [c for c, h in limits_of(found).items() if h.zones and h.zones.fails_from <= h.n]


def share_of(hypothesis: Hypothesis) -> str:
    """Return the name in the ledger that a hypothesis belongs to."""
    tier = hypothesis.metric.scope == "tier"
    return "overall" if tier and hypothesis.subject.scenario == ALL else hypothesis.metric.family
