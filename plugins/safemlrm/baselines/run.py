"""An accepted run: what a pair's candidate did, and under which instrument and limits it was accepted."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import date
from fractions import Fraction
from typing import Any

from safemlrm.errors import ConfigError
from safemlrm.evidence import CellResult
from safemlrm.family import Family, Hypothesis
from safemlrm.responses.store import Row, Scored
from safemlrm.types import BASELINE, Cell, Direction, Score, TraceState


@dataclass(frozen=True, slots=True)
class Instrument:
    """What a comparison holds fixed; a baseline taken under another instrument is void.

    `planned` is the number of prompts of each scenario. The channel may change, since the outcomes
    of all channels are kept.
    """

    scorer: str
    seed: int
    unsafe_at: int
    channel: str
    scenarios: Mapping[str, str]
    attacks: Mapping[str, str]
    planned: Mapping[str, int]


@dataclass(frozen=True, slots=True)
class AcceptedLimit:
    """A limit a run was accepted under, and who first accepted it so; `value` is an exact fraction."""

    scenario: str
    attack: str
    metric: str
    value: str
    direction: Direction
    by: str
    on: str
    reason: str

    @property
    def subject(self) -> tuple[str, str, str]:
        """Scenario, attack and metric; "all" where a pair or a scenario as a whole is limited."""
        return self.scenario, self.attack, self.metric


@dataclass(frozen=True)
class Baseline:
    """The outcomes of an accepted run, and under which instrument, by whom and why it was accepted.

    `anchor` is the checksum of the first accepted run, empty in that run itself.
    """

    pair: str
    profile: str | None
    model: Mapping[str, str]
    instrument: Instrument
    by: str
    on: str
    reason: str
    limits: Sequence[AcceptedLimit]
    cells: Mapping[str, Sequence[Mapping[str, Any]]]
    anchor: str = ""

    @property
    def occasion(self) -> str:
        """When, by whom and why the run was accepted."""
        return f"{self.on}, {self.by}: {self.reason}"

    def result(self, like: CellResult) -> CellResult | None:
        """Return the accepted outcomes of the cell that `like` is a candidate's result of."""
        rows = self.cells.get(f"{like.cell.scenario}/{like.cell.attack}")
        if rows is None:
            return None
        return CellResult(
            Cell(BASELINE, like.cell.scenario, like.cell.attack),
            like.expectation,
            tuple(row for row in map(row_of, rows) if row.position < like.planned),
            like.planned,
            like.unsafe_at,
            like.channel,
            asked=min(len(rows), like.planned),
        )


def accept(
    family: Family,
    results: Sequence[CellResult],
    instrument: Instrument,
    model: Mapping[str, str],
    *,
    profile: str | None,
    by: str,
    reason: str,
    today: date,
    former: Baseline | None = None,
) -> Baseline:
    """Return a baseline of measured cells; limits that `former` had keep who first accepted them.

    Raises `ConfigError` unless every planned prompt of every cell was asked and scored by the judge:
    a comparison with a hole in it would hide what fell through.
    """
    _refuse_holes(family.pair, results)
    on = today.isoformat()
    # The same number on another channel is another limit.
    same = former is not None and former.instrument.channel == instrument.channel
    known = {limit.subject: limit for limit in former.limits} if former and same else {}
    limits = tuple(_accepted(h, known, by, on, reason) for h in family.hypotheses)
    cells = {f"{r.cell.scenario}/{r.cell.attack}": [_plain(row) for row in r.rows] for r in results}
    return Baseline(family.pair, profile, model, instrument, by, on, reason, limits, cells)


def _refuse_holes(pair: str, results: Sequence[CellResult]) -> None:
    for result in results:
        missing = result.planned - sum(row.scored is not None for row in result.rows)
        if missing:
            raise ConfigError(
                f"{pair}: {missing} of {result.planned} prompts of {result.cell.scenario} "
                f"under {result.cell.attack} were not measured; run the whole pair first"
            )


def _accepted(
    hypothesis: Hypothesis,
    known: Mapping[tuple[str, str, str], AcceptedLimit],
    by: str,
    on: str,
    reason: str,
) -> AcceptedLimit:
    subject, limit = subject_of(hypothesis), hypothesis.limit
    old = known.get(subject)
    if old and (old.direction, Fraction(old.value)) == (limit.direction, limit.value):
        return old
    return AcceptedLimit(*subject, str(limit.value), limit.direction, by, on, reason)


def subject_of(hypothesis: Hypothesis) -> tuple[str, str, str]:
    """Return scenario, attack and metric of a hypothesis, as an accepted limit names them."""
    return hypothesis.subject.scenario, hypothesis.subject.attack, hypothesis.metric.name


def _plain(row: Row) -> dict[str, Any]:
    assert row.scored is not None
    scored = row.scored
    return {
        "position": row.position,
        "prompt": row.prompt,
        "finish": row.finish,
        "state": scored.state.value,
        **asdict(scored.score),
    }


def row_of(data: Mapping[str, Any]) -> Row:
    """Read a prompt's kept outcome; raises whatever its mistakes lead to."""
    values = dict(data)
    position, prompt = values.pop("position"), values.pop("prompt")
    finish, state = values.pop("finish"), TraceState(values.pop("state"))
    return Row(position, prompt, "", finish, 0, Scored(Score(**values), state))
