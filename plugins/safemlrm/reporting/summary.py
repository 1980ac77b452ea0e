"""reports/summary.json: the run's decisions, byte for byte the same for the same store."""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

from safemlrm.config import Config
from safemlrm.errors import SafemlrmError
from safemlrm.family import FIRST, Family
from safemlrm.limits import METRICS
from safemlrm.matrix import Matrix
from safemlrm.reading import Cells
from safemlrm.reporting.configured import configured, not_run, weights_of
from safemlrm.reporting.outcome import Outcome, judged_by, objections, partial
from safemlrm.reporting.plain import plain
from safemlrm.reporting.sight import legibility_data
from safemlrm.tune import SUMMARY_FORMAT, Rate, Terms, terms_of
from safemlrm.types import Case, Tier

OF_ONE_RUN = ("summary.json", "summary.md", "index.html", "release-record.json", "run.json")
"""Reports that a run writes anew; whoever reads them takes them for those of the last run."""


def summarise(
    outcome: Outcome,
    config: Config,
    families: Mapping[str, Family],
    matrix: Matrix,
) -> dict[str, Any]:
    """Return the content of summary.json: settings, family, decisions; no times and no paths."""
    records, weights = outcome.worst_first, weights_of(config)
    return {
        **configured(config, matrix),
        "format": SUMMARY_FORMAT,
        "profile": config.profile,
        "observed": outcome.observed,
        "passed": outcome.passed and not outcome.observed,
        "headline": outcome.headline,
        "partial": partial(outcome, families),
        "verdicts": outcome.verdicts,
        "objections": objections(outcome, config, outcome.identities),
        "models": {
            name: {**plain(identity), "weights": weights.get(name)}
            for name, identity in outcome.identities.items()
        },
        "gate": config.gate.model_dump(mode="json"),
        "families": {pair: _family(family) for pair, family in sorted(families.items())},
        "decisions": [plain(record) for record in records],
        "rates": [plain(rate) for rate in outcome.rates],
        "instrument": {pair: plain(terms) for pair, terms in outcome.terms.items()},
        "pictures": [plain(picture) for picture in outcome.pictures],
        "legibility": [legibility_data(found) for found in outcome.legibility],
        "clipped": {found.attack: found.clipped for found in outcome.clippings},
        "not_run": not_run(records, families),
        "audit": outcome.audit,
        "broken": dict(sorted(outcome.broken.items())),
        "judge": outcome.contract and plain(outcome.contract),
        "judge_paths": judged_by(records),
        "curves": [plain(curve) for curve in outcome.curves],
    }


def _family(family: Family) -> dict[str, Any]:
    ledger = family.ledger
    return {
        name: {
            "share": str(share),
            "hypotheses": ledger.sizes[name],
            "level": ledger.level(name),
        }
        for name, share in ledger.shares.items()
    }


def measured_rates(
    cells: Cells, families: Mapping[str, Family], selected: Collection[str]
) -> tuple[list[Rate], dict[str, Terms]]:
    """Return how often every case among the selected subjects came out badly, and each pair's terms.

    Decided or not: `safemlrm tune` suggests limits from them. What broke is left out; the run's tests
    tell of it.
    """
    rates: list[Rate] = []
    terms: dict[str, Terms] = {}
    for case in cells.matrix.cases:
        try:
            found = _rates(cells, case, families[case.pair], selected)
            if found and case.pair not in terms:
                candidate = cells.matrix.pairs[case.pair][0]
                model, scorer = cells.identity(candidate).digest, cells.scorer(candidate).key
                terms[case.pair] = terms_of(cells.config, cells.matrix, case.pair, model, scorer)
        except SafemlrmError:
            continue
        rates += found
    return rates, terms


def _rates(cells: Cells, case: Case, family: Family, selected: Collection[str]) -> list[Rate]:
    """Count a case's prompts, or only the first where it may have stopped by what they were."""
    whole = not {case.id, Tier(case.pair).id}.isdisjoint(selected)
    if not whole and Tier(case.pair, case.scenario).id not in selected:
        return []
    result = cells.candidate(case)
    if not whole or (cells.config.gate.stop == "early" and family.of(case)):
        result = result.prefix(FIRST)
    rates = []
    for metric in METRICS:
        kind = (metric.kind, metric.scope, metric.expectation)
        if kind == ("count", "case", result.expectation) and not metric.repeated:
            if metric.against == "plain" and result.plain is None:
                continue  # asked plainly, it has nothing to be compared with
            counts = result.count(result.outcome(metric.bad))
            names = (case.pair, case.scenario, case.attack, metric.name)
            rates.append(Rate(*names, counts.bad, counts.unknown, counts.n))
    return rates


def write_summary(summary: Mapping[str, Any], folder: Path) -> Path:
    """Write summary.json, whole or not at all.

    Raises `SafemlrmError` when the folder cannot be written to.
    """
    path = folder / "summary.json"
    text = json.dumps(summary, indent=1, sort_keys=True, allow_nan=False) + "\n"
    write_whole(path, text)
    return path


def forget_reports(folder: Path) -> None:
    """Remove the reports that speak for one run; the history, the store and what was accepted stay.

    Raises `SafemlrmError` when one of them stays, after removing the others.
    """
    stays = ""
    for name in OF_ONE_RUN:
        try:
            (folder / name).unlink()
        except (FileNotFoundError, NotADirectoryError):
            continue
        except OSError as error:
            stays = stays or (
                f"{folder / name}: could not be removed ({error.strerror}), so do not go by it; free the "
                "folder and run again"
            )
    if stays:
        raise SafemlrmError(stays)


def write_run(account: Mapping[str, Any], folder: Path) -> None:
    """Write run.json: what this run cost, apart from what it decided."""
    write_whole(folder / "run.json", json.dumps(account, indent=1, sort_keys=True) + "\n")


def write_whole(path: Path, text: str) -> None:
    """Replace a report in one step, so that a reader never sees half of it."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
        try:
            with os.fdopen(handle, "w", encoding="utf-8") as file:
                file.write(text)
            Path(name).chmod(0o644)
            Path(name).replace(path)
        finally:  # what could not take its place
            Path(name).unlink(missing_ok=True)
    except OSError as error:
        raise SafemlrmError(
            f"{path}: the report could not be written ({error.strerror}); the responses are kept "
            "in the store: free the folder and run again with --safety-replay"
        ) from error
