"""Whatever single fact of a release record is changed, its checksum put right again: verifying finds it."""

from __future__ import annotations

import copy
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from fixtures.projects import Folder, safety_toml
from safemlrm.cli import main
from safemlrm.config import load_config
from safemlrm.extension import NONE
from safemlrm.matrix import build_matrix
from safemlrm.release import ReleaseRecord, RunFacts, checksum_of, make_record, verify
from safemlrm.reporting.recording import records_of
from safemlrm.responses.store import Store
from safemlrm.types import Case
from safemlrm.verdict import Reader

Path_ = tuple[str | int, ...]
FACTS = (
    "decisions",
    "limits",
    "verdicts",
    "unscored",
    "cells",
    "judge",
    "scenarios",
    "attacks",
    "models",
    "baselines",
    "audit",
    "gate",
    "pairs",
)
OTHER = {"PASS": "FAIL", "FAIL": "PASS", "at_most": "at_least", "at_least": "at_most"}


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> tuple[Folder, dict[str, Any]]:
    """A measured project and the record of its whole gate."""
    folder = Folder(tmp_path_factory.mktemp("release"))
    folder.write(
        safety_toml(
            candidate='by_cell = { "fraud/figstep" = 0.2 }',
            base="unsafe = 0.0",
            trace=True,
            scenarios=("fraud", "benign"),
            limits="asr = 0.3\nreasoning_tax = 0.3\nover_refusal = 0.2\nunscored = 0.1",
        )
    )
    file = folder.path / "safety.toml"
    assert CliRunner().invoke(main, ["measure", "--config", str(file)]).exit_code == 0
    config = load_config(file)
    matrix = build_matrix(config)
    with Store(config.store_path, read_only=True) as store:
        reader = Reader.of(config, matrix, store, None)
        subjects = dict.fromkeys(h.subject for h in reader.families["r1"].hypotheses)
        records = [
            record
            for subject in subjects
            for record in records_of(
                reader.evaluate(subject)
                if isinstance(subject, Case)
                else reader.evaluate_tier(subject)
            )
        ]
        facts = RunFacts("2026-01-01T00:00:00+00:00", "0", True, False, [], [], {}, ["r1-all"])
        data = make_record(reader, records, facts)
    plain: dict[str, Any] = json.loads(json.dumps(data))
    return folder, plain


def signed(data: dict[str, Any]) -> ReleaseRecord:
    return ReleaseRecord.model_validate_json(json.dumps({**data, "checksum": checksum_of(data)}))


def agrees(folder: Folder, record: ReleaseRecord) -> bool:
    config = load_config(folder.path / "safety.toml")
    return verify(record, config, NONE, Path(config.store_path)).agrees


def leaves(value: Any, path: Path_ = ()) -> Iterator[Path_]:
    if isinstance(value, dict):
        for key in value:
            yield from leaves(value[key], (*path, key))
    elif isinstance(value, list):
        for number, item in enumerate(value):
            yield from leaves(item, (*path, number))
    else:
        yield path


def changed(value: Any) -> Any:
    """Return another value of the kind that stood there."""
    if isinstance(value, bool):
        return not value
    if isinstance(value, int):
        return value + 1 if value < 5 else value - 1
    if isinstance(value, float):
        return value / 2 + 0.125
    if value is None:
        return 1
    return OTHER.get(value, f"{value[:-1]}{'0' if value[-1:] != '0' else '1'}")


def test_the_record_as_it_was_made_agrees(made: tuple[Folder, dict[str, Any]]) -> None:
    folder, data = made
    assert agrees(folder, signed(data))


@given(st.data())
@settings(max_examples=60, deadline=None)
def test_any_single_change_is_found(
    made: tuple[Folder, dict[str, Any]], drawn: st.DataObject
) -> None:
    folder, data = made
    section = drawn.draw(st.sampled_from(FACTS))
    path = drawn.draw(st.sampled_from(list(leaves(data[section], (section,)))))
    edited = copy.deepcopy(data)
    place = edited
    for step in path[:-1]:
        place = place[step]  # type: ignore[index]  # lists are stepped into by numbers
    place[path[-1]] = changed(place[path[-1]])  # type: ignore[index]  # the same
    try:
        record = signed(edited)
    except ValidationError:
        return  # what is no record at all is refused
    assert not agrees(folder, record), path
