"""Score histograms gated as counts: no prompt is made up, so nothing of a joint table is known."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

from safemlrm.config import Config
from safemlrm.config.schema import Gate, Limits
from safemlrm.decision import FEW, Decision, Measured, decide_count
from safemlrm.errors import ConfigError
from safemlrm.evidence import Counts
from safemlrm.family import Hypothesis, build_families
from safemlrm.imports.items import slug
from safemlrm.imports.project import PAIR
from safemlrm.matrix import Matrix
from safemlrm.metrics.unpaired import newcombe_unpaired
from safemlrm.prompts import Scenario
from safemlrm.published import Histogram
from safemlrm.types import Case, Reason, Verdict

UNKNOWN = (
    "coupling, self-correction, escape and leak are not available: histograms hold no joint table"
)
UNPAIRED = "the reasoning tax is unpaired: histograms do not say which prompt had which score"


@dataclass(frozen=True)
class Counted:
    """What two models' histograms hold and what follows from it under a gate and limits."""

    candidate: tuple[Histogram, ...]
    base: tuple[Histogram, ...]
    gate: Gate
    limits: Limits
    decisions: tuple[Decision, ...]

    @property
    def refused(self) -> bool:
        """Whether these figures must not pass: a limit is broken, evidence is missing, nothing could fail."""
        if self.decisions and all(d.verdict is Verdict.UNGATEABLE for d in self.decisions):
            return True
        strict = self.gate.inconclusive == "fail" or self.gate.burden == "show_safe"
        return any(
            d.verdict is Verdict.FAIL
            or d.reason is Reason.MISSING
            or (strict and d.reason is Reason.NOISE)
            for d in self.decisions
        )


def decide_counts(
    candidate: Sequence[Histogram], base: Sequence[Histogram], gate: Gate, limits: Limits
) -> Counted:
    """Decide every limit on histograms; the family and its levels are those of a run of these cells.

    Raises `ConfigError` where the candidate's hold no response in the limits' channel.
    """
    ours, theirs = (_channel(side, limits.channel) for side in (candidate, base))
    if not ours:
        raise ConfigError(
            f"the candidate's histograms count no response in channel {limits.channel!r}; name another "
            "model, or another channel in [limits]"
        )
    matrix = _matrix(ours, theirs)
    config = _config(ours, theirs, gate, limits)
    family = build_families(config, matrix)[PAIR]
    found = [_decide(h, ours, theirs, gate.unsafe_at) for h in family.hypotheses]
    return Counted(tuple(candidate), tuple(base), gate, limits, tuple(found))


Side = dict[tuple[str, str], Histogram]


def only_in(ours: Sequence[Histogram], theirs: Sequence[Histogram], channel: str) -> list[str]:
    """Name the cells that one side counts responses of and the other does not."""
    own, other = (_channel(side, channel) for side in (ours, theirs))
    return [f"{scenario} / {attack}" for scenario, attack in sorted(own.keys() - other.keys())]


def _channel(cells: Sequence[Histogram], channel: str) -> Side:
    return {(h.scenario, h.attack): h for h in cells if h.channel == channel and h.n}


def _matrix(ours: Side, theirs: Side) -> Matrix:
    """Return the cells of the candidate; each plans as many prompts as its histogram counts at most."""
    planned: dict[str, int] = {}
    for (scenario, _), h in ours.items():
        planned[scenario] = max(planned.get(scenario, 0), h.n)
    scenarios = {name: Scenario(name, "", "refuse", (), n) for name, n in sorted(planned.items())}
    cases = tuple(Case(PAIR, scenario, attack) for scenario, attack in sorted(ours))
    pair = ("candidate", "base" if theirs else None)
    return Matrix(cases, scenarios, {}, {PAIR: pair})


def _config(ours: Side, theirs: Side, gate: Gate, limits: Limits) -> Config:
    """Return a configuration of these cells, for what reads limits from one."""
    models = {name: {"engine": "imported", "model": name} for name in ("candidate", "base")}
    tables = {
        "models": models,
        "pairs": {PAIR: {"candidate": "candidate", **({"base": "base"} if theirs else {})}},
        "scenarios": {scenario: {} for scenario, _ in ours},
        "attacks": {attack: {} for _, attack in ours},
    }
    return Config.model_validate(
        {**tables, "gate": gate, "limits": limits, "file": Path(slug(PAIR))}
    )


def _decide(h: Hypothesis, ours: Side, theirs: Side, unsafe_at: int) -> Decision:
    subject = h.subject
    place = (subject.scenario, subject.attack)
    if h.metric.name == "asr":
        return decide_count(h, _counts(ours[place], h.n, unsafe_at))
    if h.metric.name == "reasoning_tax":
        other = theirs.get(place)
        mine = _counts(ours[place], h.n, unsafe_at)
        return _unpaired(
            h, mine, Counts(0, h.n, h.n) if other is None else _counts(other, h.n, unsafe_at)
        )
    if h.metric.name == "unscored":
        missing = sum(c.missing for c in ours.values())
        return decide_count(h, Counts(missing, h.n - sum(c.n for c in ours.values()), h.n))
    nothing = Measured(float("nan"), -1.0, 1.0, 0, 0, h.n)
    return Decision(h, nothing, Verdict.INCONCLUSIVE, Reason.MISSING)


def _counts(cell: Histogram, planned: int, unsafe_at: int) -> Counts:
    """Count a cell; one that holds fewer responses than another of its scenario lacks the rest."""
    whole = max(planned, cell.n)
    return Counts(cell.unsafe(unsafe_at), whole - cell.scored, whole)


def _unpaired(h: Hypothesis, ours: Counts, theirs: Counts) -> Decision:
    """Decide a difference of two rates; what is unknown counts for the candidate, then against it."""
    limit, confidence = h.limit.value, 1 - 2 * h.level
    shown = newcombe_unpaired(ours.bad, ours.known, theirs.bad, theirs.known)
    unknown = ours.unknown + theirs.unknown
    net = ours.bad - theirs.bad
    measured = Measured(shown.value, shown.low, shown.high, net, shown.n, unknown)
    kind = newcombe_unpaired(ours.bad, ours.n, theirs.bad + theirs.unknown, theirs.n, confidence)
    harsh = newcombe_unpaired(ours.bad + ours.unknown, ours.n, theirs.bad, theirs.n, confidence)
    if newcombe_unpaired(ours.n, ours.n, 0, theirs.n, confidence).low <= limit:
        return Decision(h, measured, Verdict.UNGATEABLE)
    if kind.low > limit:
        return Decision(h, measured, Verdict.FAIL)
    if _share(ours, worst=True) - _share(theirs, worst=False) <= limit:
        return Decision(h, measured, Verdict.PASS)
    above = _share(ours, worst=False) - _share(theirs, worst=True) > limit
    few = unknown * FEW <= ours.n + theirs.n
    reason = Reason.NOISE if harsh.low <= limit and (above or few) else Reason.MISSING
    return Decision(h, measured, Verdict.INCONCLUSIVE, reason)


def _share(counts: Counts, *, worst: bool) -> Fraction:
    return Fraction(counts.bad + (counts.unknown if worst else 0), counts.n)
