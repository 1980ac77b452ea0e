"""Finishes what allure-pytest is about to write of a test: its title, its place, its first line."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence

import pytest
from allure_commons import hookimpl
from allure_commons.model2 import Label, Parameter, StatusDetails, TestResult
from allure_commons.utils import md5

from safemlrm.reporting.record import Record
from safemlrm.types import ALL, Case, Reason, Tier, Verdict

OURS = re.compile(r"^(?:safemlrm\.errors\.)\w+: ", re.MULTILINE)
"""How pytest introduces our errors; their text says it better alone."""
SPECIAL = re.compile(r"([\\`*_{}\[\]<>#|~!&])")
HARM = ("asr", "reasoning_tax")
ORDER = (Verdict.FAIL, Verdict.INCONCLUSIVE, Verdict.UNGATEABLE, Verdict.NOT_APPLICABLE)


class Filing:
    """Remembers which test runs, so that its result can be completed when Allure reports it."""

    def __init__(self, uid: str) -> None:
        self._uid = uid
        self._item: pytest.Item | None = None

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_setup(self, item: pytest.Item) -> None:
        """A process runs one test at a time, and its result follows before the next one starts."""
        self._item = item

    @hookimpl(tryfirst=True)
    def report_result(self, result: TestResult) -> None:
        """Complete a result before it is written; those of other tests stay as they are."""
        subject = None if self._item is None else subject_of(self._item)
        if self._item is None or subject is None:
            return
        records = worst_first(records_of(self._item))
        if result.name == self._item.name:  # nobody gave it a title
            result.name = title(self._item, subject)
        _identify(result, subject, self._uid)
        _label(result, subject, records)
        _describe(result, records)
        _explain(result, records)


def subject_of(item: pytest.Item) -> Case | Tier | None:
    """Return what a test is about, None for a test that is not ours."""
    callspec = getattr(item, "callspec", None)
    given = {} if callspec is None else callspec.params
    found = given.get("safety_case", given.get("safety_tier"))
    return found if isinstance(found, Case | Tier) else None


def records_of(item: pytest.Item) -> list[Record]:
    """Return the decisions that a test left."""
    texts = dict(item.user_properties).get("safety.decisions", "[]")
    return [Record.from_json(text) for text in json.loads(str(texts))]


def worst_first(records: Sequence[Record]) -> list[Record]:
    """Return decisions in the order in which a gate speaks of them: what it failed on is the first."""

    def rank(record: Record) -> tuple[int, bool]:
        place = ORDER.index(record.verdict) if record.verdict in ORDER else len(ORDER)
        return place, record.reason is not Reason.MISSING

    return sorted(records, key=rank)


def title(item: pytest.Item, subject: Case | Tier) -> str:
    """Return "pair / scenario / attack: what is tested", without what stands for all of them."""
    parts = (subject.pair, subject.scenario, subject.attack)
    name = getattr(item, "originalname", item.name).removeprefix("test_").replace("_", " ")
    return f"{' / '.join(part for part in parts if part != ALL)}: {name}"


def _identify(result: TestResult, subject: Case | Tier, uid: str) -> None:
    """Give a case one history over all runs: where it was run, and by which models, is left out."""
    others = [p for p in result.parameters if p.name not in ("safety_case", "safety_tier")]
    names = ("pair", "scenario", "attack")
    parts = (subject.pair, subject.scenario, subject.attack)
    own = [Parameter(name=n, value=v) for n, v in zip(names, parts, strict=True)]
    result.parameters = [*own, *others, Parameter(name="run", value=uid, excluded=True)]
    counted = sorted((p.name, p.value) for p in result.parameters if not p.excluded)
    result.historyId = md5(result.fullName, *(f"{name}={value}" for name, value in counted))


def _label(result: TestResult, subject: Case | Tier, records: Sequence[Record]) -> None:
    """File a result: behaviours, the slugs, the verdict, and a severity by what it is about."""
    scenario = "the pair as a whole" if subject.scenario == ALL else subject.scenario
    attack = "all attacks" if subject.attack == ALL else subject.attack
    harmful = not records or any(record.metric in HARM for record in records)
    labels = {
        "epic": subject.pair,
        "feature": scenario,
        "story": attack,
        "severity": "critical" if harmful else "normal",
        "pair": subject.pair,
        "scenario": subject.scenario,
        "attack": subject.attack,
        "verdict": records[0].headline if records else "none",
    }
    names = [str(getattr(label.name, "value", label.name)) for label in result.labels]
    # A report travels further than the machine it was made on should be known.
    kept = [label for label, name in zip(result.labels, names, strict=True) if name != "host"]
    own = [Label(name=name, value=value) for name, value in labels.items() if name not in names]
    result.labels = [*kept, *own]


def _describe(result: TestResult, records: Sequence[Record]) -> None:
    """Say every decision in words, below what the test says of itself."""
    lines = ["- " + SPECIAL.sub(r"\\\1", record.sentence) for record in records]
    result.description = "\n\n".join(filter(None, [result.description, "\n".join(lines)])) or None


def _explain(result: TestResult, records: Sequence[Record]) -> None:
    """Put the verdict on the first line, also of a test that passed without one to be sure of."""
    details = result.statusDetails or StatusDetails()
    told = details.message or ""
    ours = OURS.search(told) is not None
    text = OURS.sub("", told)
    if ours and details.trace and details.trace.strip() in text:
        details.trace = None  # the same text once more
    undecided = records and records[0].verdict is not Verdict.PASS
    if undecided and (ours or result.status in ("passed", "skipped")):
        text = _led(records[0], text)
    if text:
        details.message = text
        result.statusDetails = details


def _led(record: Record, text: str) -> str:
    """Return a text with the verdict before it, once."""
    if text.startswith(f"{record.label} {record.observed}"):
        return f"{record.headline}: {text}"
    return f"{record.sentence}\n\n{text}" if text else record.sentence
