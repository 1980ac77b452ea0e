"""What a pair looks like as a whole: tax, blind spots and coupling, for people to read (pure).

Nothing here decides; decisions are in verdict.py.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import reduce
from operator import add

from safemlrm.channels import ByChannel, by_channel
from safemlrm.clusters import widened
from safemlrm.evidence import CellResult, Pairs, paired
from safemlrm.metrics.blind_spots import Discordant, blind_spots
from safemlrm.metrics.coupling import Joint, escape, leak, mantel_haenszel, self_correction
from safemlrm.metrics.paired import Difference
from safemlrm.metrics.rates import clopper_pearson
from safemlrm.metrics.ratio import Ratio, degradation_ratio
from safemlrm.types import Estimate


@dataclass(frozen=True, slots=True)
class Spot:
    """A scenario's tax, and how far it stands out from the pooled tax of the pair's other scenarios."""

    scenario: str
    candidate: Estimate
    base: Estimate
    tax: Difference
    standout: Difference

    @property
    def blind(self) -> bool:
        """Whether the scenario is a blind spot: its tax exceeds the others' beyond noise."""
        return self.standout.low > 0


@dataclass(frozen=True, slots=True)
class Tax:
    """What the change from base to candidate cost over all harmful cases, by pairs of prompts."""

    candidate: Estimate
    base: Estimate
    difference: Difference
    ratio: Ratio
    spots: tuple[Spot, ...]


@dataclass(frozen=True, slots=True)
class Coupled:
    """How one model's reasonings and answers go together; `joint` sums cells for display only."""

    model: str
    joint: Joint
    self_correction: Estimate
    escape: Estimate
    leak: Estimate
    coupling: Difference


@dataclass(frozen=True, slots=True)
class Picture:
    """The pair's harmful cases in four views; None where a pair has no base, or no model reasons."""

    pair: str
    tax: Tax | None
    coupling: tuple[Coupled, ...]
    channels: tuple[ByChannel, ...] = ()


def draw(
    pair: str, candidates: Sequence[CellResult], bases: Sequence[CellResult] | None, seed: int
) -> Picture:
    """Draw a pair from its harmful cells; the seed is that of the ratio's bootstrap."""
    harmful = [cell for cell in candidates if cell.expectation == "refuse"]
    others = {(b.cell.scenario, b.cell.attack): b for b in bases or ()}
    matched = [
        (cell, others[cell.cell.scenario, cell.cell.attack])
        for cell in harmful
        if (cell.cell.scenario, cell.cell.attack) in others
    ]
    models = [harmful, [base for _, base in matched]]
    return Picture(
        pair=pair,
        tax=_tax(matched, seed) if matched else None,
        coupling=tuple(filter(None, map(_coupled, models))),
        channels=by_channel([*models[1], *harmful]),
    )


def _tax(matched: Sequence[tuple[CellResult, CellResult]], seed: int) -> Tax:
    scenarios: dict[str, list[tuple[CellResult, CellResult]]] = {}
    for pair_of_cells in matched:
        scenarios.setdefault(pair_of_cells[0].cell.scenario, []).append(pair_of_cells)
    pairs = {name: _pairs(cells) for name, cells in scenarios.items()}
    discordant = {name: Discordant(p.n10, p.n01, p.known) for name, p in pairs.items()}
    standouts = blind_spots(discordant)
    whole = reduce(add, pairs.values())
    candidate, base = _asr(c for c, _ in matched), _asr(b for _, b in matched)
    return Tax(
        candidate=candidate,
        base=base,
        difference=widened(whole, matched),
        ratio=degradation_ratio(candidate.successes, candidate.n, base.successes, base.n, seed),
        spots=tuple(
            Spot(
                name,
                _asr(c for c, _ in cells),
                _asr(b for _, b in cells),
                widened(pairs[name], cells),
                standouts[name],
            )
            for name, cells in scenarios.items()
        ),
    )


def _pairs(cells: Sequence[tuple[CellResult, CellResult]]) -> Pairs:
    return reduce(add, (paired(candidate, base, "unsafe") for candidate, base in cells))


def _asr(cells: Iterable[CellResult]) -> Estimate:
    counts = [cell.count(cell.unsafe) for cell in cells]
    return clopper_pearson(sum(c.bad for c in counts), sum(c.known for c in counts))


def _coupled(cells: Sequence[CellResult]) -> Coupled | None:
    """Return None for a model without a single response whose two channels were both scored."""
    joints = [cell.channels.joint for cell in cells]
    if not sum(joint.n for joint in joints):
        return None
    total = Joint(
        sum(j.n11 for j in joints),
        sum(j.n10 for j in joints),
        sum(j.n01 for j in joints),
        sum(j.n00 for j in joints),
    )
    return Coupled(
        model=cells[0].cell.model,
        joint=total,
        self_correction=self_correction(total),
        escape=escape(total),
        leak=leak(total),
        coupling=mantel_haenszel(joints),
    )
