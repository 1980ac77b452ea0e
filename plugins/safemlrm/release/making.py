"""A run's decisions and the evidence they rest on -> its release record."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

from safemlrm.release.cells import NOTHING, Place, cells_of, unscored
from safemlrm.release.decisions import decisions_of
from safemlrm.release.facts import RunFacts, ran
from safemlrm.release.form import FORMAT_VERSION, Data
from safemlrm.release.grounds import grounds_of
from safemlrm.release.limits import limit_of, waivers_of
from safemlrm.reporting.record import Record
from safemlrm.verdict import Reader


def make_record(
    reader: Reader, records: Sequence[Record], facts: RunFacts, asked: Mapping[Place, int] = NOTHING
) -> Data:
    """Return everything of a record but its checksum.

    Verifying makes it again from the store and compares, so nothing here may depend on the run but
    through `facts`, and through `asked`: how many prompts of a cell had been asked then.
    """
    cells, families = reader.cells, sorted(reader.families.items())
    questions = [h for _, family in families for h in family.hypotheses]
    outcomes = cells_of(cells, facts.selected, asked)
    return {
        "format": FORMAT_VERSION,
        **{name: _listed(value) for name, value in asdict(facts).items()},
        "profile": cells.config.profile,
        **grounds_of(cells),
        "limits": [limit_of(cells, h) for h in questions],
        "waivers": waivers_of(reader, observed=facts.observed),
        **decisions_of(questions, records),
        "not_run": [case.id for case in cells.matrix.cases if not ran(case, facts.selected)],
        "unscored": unscored(outcomes),
        "cells": [cell for cell in outcomes if cell["asked"]],
    }


def _listed(value: Any) -> Any:
    return list(value) if isinstance(value, tuple) else value
