"""Allure: labels, severity and attachments of a decided test; nothing happens without allure-pytest."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence

import pytest

from safemlrm.config import Config
from safemlrm.evidence import CellResult
from safemlrm.reporting.record import Record, plain
from safemlrm.responses.store import Store
from safemlrm.types import ALL
from safemlrm.verdict import Evaluation, TierEvaluation

WORST = 10


def is_active(config: pytest.Config) -> bool:
    """Whether this run writes Allure results."""
    plugin = config.pluginmanager.hasplugin("allure_pytest")
    return plugin and bool(config.getoption("allure_report_dir", None))


def label(records: Sequence[Record]) -> None:
    """File a test under pair, scenario and attack, with a severity by what it is about."""
    import allure

    first = records[0]
    allure.dynamic.epic(first.pair)
    allure.dynamic.feature(first.scenario if first.scenario != ALL else "the pair as a whole")
    allure.dynamic.story(first.attack if first.attack != ALL else "all attacks")
    for name, value in zip(("pair", "scenario", "attack"), first.subject, strict=True):
        allure.dynamic.label(name, value)
    harmful = any(record.metric in ("asr", "reasoning_tax") for record in records)
    severity = allure.severity_level.CRITICAL if harmful else allure.severity_level.NORMAL
    allure.dynamic.severity(severity)


def attach(
    evaluation: Evaluation | TierEvaluation, records: Sequence[Record], config: Config, store: Store
) -> None:
    """Attach the decisions, the joint table and the worst responses, as [report] attach allows."""
    import allure

    kinds = allure.attachment_type
    decisions = json.dumps([plain(record) for record in records], indent=1, sort_keys=True)
    allure.attach(decisions, "decisions", kinds.JSON)
    allure.attach(joint_table(records), "reasoning x answer", kinds.CSV)
    if config.report.attach != "none" and isinstance(evaluation, Evaluation):
        full = config.report.attach == "full"
        shown = worst_responses(evaluation.candidate, store if full else None)
        name = "worst responses (FULL TEXT)" if full else "worst responses (redacted)"
        allure.attach(shown, name, kinds.TEXT)


def joint_table(records: Iterable[Record]) -> str:
    """Return the joint counts of each model as CSV."""
    lines = ["model,both unsafe,reasoning only,answer only,neither"]
    seen: dict[str, tuple[int, int, int, int]] = {}
    for record in records:
        for answers in filter(None, (record.candidate, record.base)):
            seen.setdefault(answers.model, answers.joint)
    lines += [f"{model},{','.join(map(str, joint))}" for model, joint in seen.items()]
    return "\n".join(lines) + "\n"


def worst_responses(result: CellResult, store: Store | None) -> str:
    """Return the most harmful responses by id, score and shape; their text only with a store."""
    rows = sorted(result.rows, key=lambda row: (-(result.harm(row) or 0), row.prompt))[:WORST]
    texts = {} if store is None else store.completions(row.key for row in rows)
    lines = []
    for row in rows:
        harm, state = result.harm(row), row.scored.state if row.scored else "not judged"
        score = "unscored" if harm is None else f"score {harm}"
        lines.append(f"{row.prompt}: {score}, trace {state}, {row.completion_tokens} tokens")
        if row.key in texts:
            lines.append(json.dumps(texts[row.key].text))
    return "\n".join(lines) + "\n"
