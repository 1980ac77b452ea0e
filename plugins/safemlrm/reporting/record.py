"""What a test leaves for the reports: one decision as plain data, the same in every report."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from functools import lru_cache
from math import isnan

from pydantic import TypeAdapter

from safemlrm.decision import Measured
from safemlrm.limits import METRIC
from safemlrm.types import ALL, Direction, Reason, Verdict

RANKS = (
    (Verdict.FAIL, Reason.NONE),
    (Verdict.INCONCLUSIVE, Reason.MISSING),
    (Verdict.INCONCLUSIVE, Reason.NOISE),
    (Verdict.UNGATEABLE, Reason.NONE),
    (Verdict.PASS, Reason.NONE),
    (Verdict.NOT_APPLICABLE, Reason.NONE),
)


@dataclass(frozen=True, slots=True)
class Answers:
    """What one model's answers to the cells of a decision look like.

    `bad` counts what the decision's metric counts; `paths` says how many verdicts each branch of the
    judge decided, `states` what became of the traces, `joint`
    counts (reasoning, answer) as both unsafe, reasoning only, answer only, neither.
    """

    model: str
    bad: int
    unknown: int
    planned: int
    paths: Mapping[str, int]
    states: Mapping[str, int]
    joint: tuple[int, int, int, int]

    @property
    def known(self) -> int:
        """The prompts with a verdict."""
        return self.planned - self.unknown

    def __str__(self) -> str:
        return f"{_rate(self.bad, self.known)} ({self.bad}/{self.known})"


@dataclass(frozen=True, slots=True)
class Record:
    """One decision with its evidence, as every report shows it."""

    pair: str
    scenario: str
    attack: str
    metric: str
    verdict: Verdict
    reason: Reason
    limit: float
    direction: Direction
    origin: str
    level: float
    n: int
    passes_to: int | None
    fails_from: int | None
    detectable: float | None
    measured: Measured
    unsafe_at: int
    channel: str
    candidate: Answers
    base: Answers | None
    worst: tuple[str, ...]
    stopped: int | None = None
    p_value: float | None = None
    confirmed: bool = False
    saturated: bool = False
    illegible: str = ""
    unaudited: str = ""
    responses: int = 1
    """How many responses of a prompt the metric looks at."""

    @property
    def subject(self) -> tuple[str, str, str]:
        """Pair, scenario and attack; "all" where the pair as a whole was decided."""
        return self.pair, self.scenario, self.attack

    @property
    def title(self) -> str:
        """The subject as people read it."""
        return " / ".join(part for part in self.subject if part != ALL)

    @property
    def label(self) -> str:
        """The metric as people read it."""
        return METRIC[self.metric].label.replace("@K", f"@{self.responses}")

    @property
    def expression(self) -> str:
        """The `-m` expression that selects this decision's tests."""
        return " and ".join(part for part in self.subject if part != ALL)

    @property
    def rank(self) -> int:
        """The place of the verdict among all: what blocks a release first, what was not asked last."""
        if self.verdict is Verdict.UNGATEABLE and self.saturated:
            return len(RANKS)
        return RANKS.index((self.verdict, self.reason))

    @property
    def excess(self) -> float:
        """How far the value is beyond its limit; what lacks a value it needs comes first."""
        if self.verdict is Verdict.NOT_APPLICABLE:
            return -1.0
        if isnan(self.measured.value):
            return 1.0
        beyond = self.measured.value - self.limit
        return beyond if self.direction == "at_most" else -beyond

    @property
    def observed(self) -> str:
        """The value with what it is made of; differences in points with their interval."""
        m = self.measured
        at = f", stopped at {self.stopped} of {self.n}" if self.stopped else ""
        return self._value(m) + at

    def _value(self, m: Measured) -> str:
        missing = f", {m.unknown} unscored of {m.unknown + m.whole}" if m.unknown else ""
        if isnan(m.value):
            return f"no value{missing}"
        if METRIC[self.metric].kind == "calibration":
            return f"{m.value:.1%} [{m.low:.1%}, {m.high:.1%}], {m.part}/{m.whole} right{missing}"
        if METRIC[self.metric].kind in ("paired", "coupling", "rise"):
            ends = f"[{m.low * 100:+.1f}, {m.high * 100:+.1f}]"
            return f"{m.value * 100:+.1f} points {ends}{missing}"
        return f"{m.value:.1%} ({m.part}/{m.whole}){missing}"

    @property
    def zones(self) -> str:
        """The limit, and the counts of bad prompts at which the decision passes and fails."""
        limit = self.bound
        if self.verdict is Verdict.UNGATEABLE:
            return f"{limit}: no result of {self.n} prompts could fail"
        if self.passes_to is None or self.fails_from is None:
            return limit
        bad = f" {METRIC[self.metric].bad}" if self.direction == "at_least" else ""
        if self.passes_to < 0:
            return f"{limit}: {self.n} prompts cannot show it, fails from {self.fails_from}/{self.n}{bad}"
        return f"{limit}: passes to {self.passes_to}/{self.n}{bad}, fails from {self.fails_from}/{self.n}"

    @property
    def bound(self) -> str:
        """The limit alone."""
        least = "at least " if self.direction == "at_least" else ""
        return f"limit {least}{percent(self.limit)}"

    @property
    def brief(self) -> str:
        """The value in few words, for where there is no room for its interval."""
        m = self.measured
        if isnan(m.value):
            return "no value"
        if METRIC[self.metric].kind in ("paired", "coupling", "rise"):
            return f"{m.value * 100:+.1f} points"
        return f"{m.value:.1%} ({m.part}/{m.whole})"

    @property
    def against(self) -> str:
        """The other side's rate beside a case's or a tier's, empty without one."""
        metric = METRIC[self.metric]
        if self.base is None or metric.scope == "pair":
            return ""
        who = metric.against if metric.kind in ("paired", "rise") else "base"
        return f"{who} {self.base} {metric.bad}"

    @property
    def headline(self) -> str:
        """The verdict in one word, with the reason of an INCONCLUSIVE and how it was reached."""
        if self.verdict is Verdict.UNGATEABLE and self.saturated:
            return f"{self.verdict} (accepted)"
        if self.confirmed:
            return (
                f"{self.verdict} ({self.reason}, confirm)"
                if self.reason
                else f"{self.verdict} (confirm)"
            )
        return f"{self.verdict} ({self.reason})" if self.reason else self.verdict.value

    @property
    def sentence(self) -> str:
        """Verdict, value and limit in one line, and why the answers prove too little, if they do."""
        doubts = "".join(f"; {doubt}" for doubt in (self.illegible, self.unaudited) if doubt)
        return f"{self.headline}: {self.label} {self.observed}, {self.zones}{doubts}"

    def to_json(self) -> str:
        """Return a text that `from_json` reads back."""
        return json.dumps(asdict(self))

    @classmethod
    def from_json(cls, text: str) -> Record:
        """Read what `to_json` wrote."""
        return _adapter().validate_python(json.loads(text))


@lru_cache(maxsize=1)
def _adapter() -> TypeAdapter[Record]:
    return TypeAdapter(Record)


def percent(rate: float) -> str:
    """Write a limit as briefly as it was given: 10%, 2.5%."""
    return f"{rate * 100:.4g}%"


def _rate(part: int, whole: int) -> str:
    return f"{part / whole:.1%}" if whole else "no rate"
