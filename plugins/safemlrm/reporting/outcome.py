"""All records of a run -> what the run as a whole says, and whether it may exit with 0."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType

import pytest

from safemlrm.audit import spelled
from safemlrm.canary import Clipping, Legibility
from safemlrm.config import Config
from safemlrm.config.model import LOCAL
from safemlrm.family import Family
from safemlrm.judging import Contract
from safemlrm.limits import METRIC
from safemlrm.picture import Picture
from safemlrm.reporting.curve import Curve
from safemlrm.reporting.phrases import led
from safemlrm.reporting.record import Record
from safemlrm.tune import Rate, Terms
from safemlrm.types import ALL, Identity, Reason, Verdict

HARM = ("limits", "tax", "tiers")
"""The families that a model passes by refusing everything."""
DECIDED = frozenset({Verdict.PASS, Verdict.FAIL, Verdict.INCONCLUSIVE})


@dataclass(eq=False)  # pytest keeps plugins in sets
class Outcome:
    """Fills up while tests report; `selected` holds each test's subject, `broken` why one is.

    `collected` are the safety tests that were to run, `ended` the tests that did, to their end, and
    `failed` those that pytest counts as failed.
    `outdated` says where the gate falls behind what was accepted, `shortfalls` what else to know.
    """

    records: dict[str, list[Record]] = field(default_factory=dict)
    selected: dict[str, str] = field(default_factory=dict)
    broken: dict[str, str] = field(default_factory=dict)
    collected: set[str] = field(default_factory=set)
    ended: set[str] = field(default_factory=set)
    failed: set[str] = field(default_factory=set)
    uncollected: bool = False
    pictures: list[Picture] = field(default_factory=list)
    legibility: list[Legibility] = field(default_factory=list)
    clippings: list[Clipping] = field(default_factory=list)
    identities: dict[str, Identity] = field(default_factory=dict)
    outdated: list[str] = field(default_factory=list)
    shortfalls: list[str] = field(default_factory=list)
    observed: bool = False
    passed: bool = False
    rates: list[Rate] = field(default_factory=list)
    terms: dict[str, Terms] = field(default_factory=dict)
    summary: Path | None = None
    contract: Contract | None = None
    curves: list[Curve] = field(default_factory=list)
    audit: Mapping[str, object] | None = None

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Collect from reports: they reach an xdist controller and a bare run alike.

        What was decided counts, whatever phase it was in and whatever became of the test: a rerun
        that decides nothing takes nothing back.
        """
        test, found = report.nodeid, dict(report.user_properties)
        if "safety.case" in found:
            self.selected[test] = str(found["safety.case"])
        if report.when == "setup":  # a rerun starts afresh
            self.broken.pop(test, None)
            self.failed.discard(test)
        if report.failed:
            self.failed.add(test)
        if "safety.decisions" in found:
            texts = json.loads(str(found["safety.decisions"]))
            self.records[test] = [Record.from_json(text) for text in texts]
        if "safety.broken" in found:
            reason = led(str(found["safety.broken"]), self.records.get(test, ()))
            self.broken[test] = spelled(reason)

    def pytest_runtest_logfinish(self, nodeid: str) -> None:
        """Note that a test ended; one that is to be rerun, or whose worker died, has not."""
        self.ended.add(nodeid)

    def pytest_collectreport(self, report: pytest.CollectReport) -> None:
        """Note that something could not be collected, perhaps a gate."""
        self.uncollected |= report.failed

    @property
    def lost(self) -> list[str]:
        """Tests that were to run and did not end: a worker died once too often, or something left."""
        return sorted(self.collected - self.ended)

    @property
    def worst_first(self) -> list[Record]:
        """Every decision once: what did not pass before what did, largest excess over a limit first."""
        unique = {(r.subject, r.metric): r for records in self.records.values() for r in records}
        return sorted(unique.values(), key=lambda r: (r.rank, -r.excess, r.subject, r.metric))

    def place(self, test: str) -> tuple[int, float, str]:
        """Return where a test stands by its worst decision; broken ones stand by their names."""
        places = ((r.rank, -r.excess) for r in self.records.get(test, ()))
        return *min(places, default=(0, 0.0)), test

    @property
    def headline(self) -> str:
        """How the run ended, in a word or two: "passed" only where the exit code says so."""
        if self.observed:
            return "OBSERVED, nothing was gated"
        if any(record.verdict is Verdict.FAIL for record in self.worst_first):
            return "FAILED"
        return "passed" if self.passed else "NOT PASSED"

    def without_base(self, pair: str) -> int:
        """Return how many comparisons of a pair had nothing to compare with."""
        return sum(
            record.verdict is Verdict.NOT_APPLICABLE and METRIC[record.metric].against != "nothing"
            for record in self.worst_first
            if record.pair == pair
        )

    @property
    def screened(self) -> bool:
        """Whether something passed by the rules judge, which says less than a model's judgement."""
        passed = any(record.verdict is Verdict.PASS for record in self.worst_first)
        return passed and self.contract is not None and self.contract.kind == "rules"

    @property
    def verdicts(self) -> dict[str, int]:
        """How many decisions there are of each verdict, in the order of the enumeration."""
        found = Counter(record.verdict for record in self.worst_first)
        return {verdict.value: found[verdict] for verdict in Verdict if found[verdict]}


def partial(outcome: Outcome, families: Mapping[str, Family]) -> list[str]:
    """Return how a run fell short of its configured families; empty when it asked all of them."""
    decided: dict[str, Counter[str]] = {}
    for record in outcome.worst_first:
        decided.setdefault(record.pair, Counter())[METRIC[record.metric].family] += 1
    found = list(outcome.shortfalls)
    asked = {of_pair(subject) for subject in outcome.selected.values()} | set(decided)
    if asked and (absent := sorted(set(families) - asked)):
        found.append(f"{', '.join(absent)}: configured, and not asked about in this run")
    for pair, families_of in sorted(decided.items()):
        number, configured = sum(families_of.values()), len(families[pair].hypotheses)
        if number < configured:
            found.append(
                f"{pair} was decided on {number} of its {configured} configured hypotheses"
            )
        without = outcome.without_base(pair)
        if without:
            found.append(
                f"{pair} has no accepted baseline for {without} of its comparisons, which were not made"
            )
        if any(families_of[name] for name in HARM) and not families_of["benign"]:
            found.append(
                f"{pair} was gated on harm without benign questions: "
                "a model that refuses everything would pass"
            )
    return found


def objections(
    outcome: Outcome, config: Config, identities: Mapping[str, Identity] = MappingProxyType({})
) -> list[str]:
    """Return why a run whose tests all passed must not exit with 0; empty when it may.

    The exit code follows from the decisions, whatever a test did with a failed gate (an xfail, an
    exception it caught).
    """
    if not outcome.selected:
        return unended(outcome)
    records = outcome.worst_first
    found = [*_undecided(outcome), *_same(records, config, identities), *outcome.outdated]
    found += [*_hidden(outcome), *unended(outcome)]
    ungateable = [r for r in records if r.verdict is Verdict.UNGATEABLE and not r.saturated]
    if len(ungateable) > config.gate.max_ungateable * len(records):
        found.append(
            f"{len(ungateable)} of {len(records)} decisions are ungateable, more than max_ungateable = "
            f"{config.gate.max_ungateable:g} allows: ask more prompts or loosen their limits"
        )
    strict = config.gate.inconclusive == "fail" or config.gate.burden == "show_safe"
    for record in records:
        failed = record.verdict is Verdict.FAIL or record.reason is Reason.MISSING
        if failed or (strict and record.reason is Reason.NOISE):
            found.append(f"{record.title}: {record.sentence}")
    return found


def unended(outcome: Outcome) -> list[str]:
    """Say that tests which were to run did not end: what they would have decided is not known."""
    lost = outcome.lost
    if not lost:
        return []
    more = f" and {len(lost) - 1} more" if len(lost) > 1 else ""
    return [f"{spelled(lost[0])}{more}: selected, and never ran to an end; run the gate again"]


def _hidden(outcome: Outcome) -> list[str]:
    """Name what broke where no test failed by it: its evidence is missing all the same."""
    return [
        f"{outcome.selected.get(test, test)}: broken: {reason}"
        for test, reason in outcome.broken.items()
        if test not in outcome.failed and not outcome.records.get(test)
    ]


def of_pair(subject: str) -> str:
    """Return the pair of a case's or a tier's id; slugs hold no dash."""
    return subject.partition("-")[0]


def _undecided(outcome: Outcome) -> list[str]:
    """Name the pairs of which nothing was decided; a pair beside them that passed proves nothing."""
    records = outcome.worst_first
    if not records:
        return ["no gate was decided, so nothing is known about the candidate"]
    decided = {record.pair for record in records if record.verdict in DECIDED}
    asked = {of_pair(subject) for subject in outcome.selected.values()}
    return [
        f"{pair}: no gate was decided, so nothing is known about the candidate"
        for pair in sorted((asked | {record.pair for record in records}) - decided)
    ]


def _same(
    records: Sequence[Record], config: Config, identities: Mapping[str, Identity]
) -> list[str]:
    """Name the pairs whose base is their candidate under another name: they compare nothing."""
    found = []
    for name in sorted({record.pair for record in records}):
        pair = config.pairs[name]
        base, candidate = identities.get(pair.base or ""), identities.get(pair.candidate)
        if base is not None and candidate is not None and _answers(base) == _answers(candidate):
            found.append(
                f"{name}: base and candidate are the same model ({base.digest[:12]}), so nothing was "
                "compared; check their paths"
            )
    return found


def _answers(identity: Identity) -> dict[str, str]:
    """Return what a model answers by: where its trace is cut is no part of that.

    A script writes its trace between the marks, so they are part of what it answers. Weights say
    whether they are others; what is served or imported is told apart by its epoch alone.
    """
    parts = dict(identity.parts)
    if parts.get("engine") == "scripted":
        return parts
    unsaid = {"reasoning", "epoch"} if parts.get("engine") in LOCAL else {"reasoning"}
    return {part: value for part, value in parts.items() if part not in unsaid}


def judged_by(records: Iterable[Record]) -> dict[str, dict[str, int]]:
    """Return how many verdicts each path of the judge decided, for each model."""
    totals: dict[str, Counter[str]] = {}
    seen: set[tuple[str, str, str]] = set()
    for record in records:
        for answers in filter(None, (record.candidate, record.base)):
            cell = (answers.model, record.scenario, record.attack)
            if cell not in seen and ALL not in cell:
                seen.add(cell)
                totals.setdefault(answers.model, Counter()).update(answers.paths)
    return {model: dict(sorted(paths.items())) for model, paths in sorted(totals.items())}
