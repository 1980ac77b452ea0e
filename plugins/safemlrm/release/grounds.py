"""What decisions rest on beside the responses, as digests: models, judge, prompts, attacks, files."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from contextlib import suppress
from hashlib import sha256
from pathlib import Path
from typing import Any

from safemlrm.audit import audit_essentials
from safemlrm.baselines import anchor_path, baseline_path
from safemlrm.config import Config
from safemlrm.errors import ConfigError, SafemlrmError
from safemlrm.judging import judge_models
from safemlrm.matrix import Matrix
from safemlrm.reading import Cells
from safemlrm.release.form import Data
from safemlrm.release.settings import recorded_config, same_folder
from safemlrm.reporting.plain import plain
from safemlrm.tune import terms_of
from safemlrm.types import BASELINE


def grounds_of(cells: Cells) -> Data:
    """Return the digests of what the decisions rest on, and the configuration they follow from."""
    config, matrix = cells.config, cells.matrix
    models = _models(cells)
    return {
        "config": recorded_config(config),
        "gate": {**config.gate.model_dump(mode="json"), "channel": config.limits.channel},
        "models": models,
        "decoding": {name: _decoding(model["parts"]) for name, model in models.items()},
        "judge": _judge(cells, models),
        "scenarios": _scenarios(config, matrix),
        "attacks": {slug: attack.digest for slug, attack in matrix.attacks.items()},
        "pairs": {name: list(sides) for name, sides in matrix.pairs.items()},
        "audit": _audit(config),
        "baselines": [
            _file(config, path(config.baselines_path, pair))
            for pair in sorted(matrix.pairs)
            for path in (baseline_path, anchor_path)
        ],
    }


def _models(cells: Cells) -> dict[str, Data]:
    found = {}
    for name in sorted({*_measured(cells.matrix), *judge_models(cells.config)}):
        with suppress(SafemlrmError):  # it was not measured, so nothing rests on it
            found[name] = plain(cells.identity(name))
    return found


def _decoding(parts: Mapping[str, str]) -> Data:
    """Return how a model decodes; a forged record may hold anything in its place."""
    try:
        found = json.loads(parts.get("decoding", "{}"))
    except ValueError:
        found = None
    return found if isinstance(found, dict) else {}


def _judge(cells: Cells, models: Iterable[str]) -> Data | None:
    measured = _measured(cells.matrix)
    try:
        contract = plain(cells.contract())
        scorers = {name: cells.scorer(name).key for name in models if name in measured}
    except SafemlrmError:
        return None  # a judge that cannot be read broke the tests already
    return {**contract, "scorers": scorers}


def _measured(matrix: Matrix) -> set[str]:
    sides = {side for pair in matrix.pairs.values() for side in pair}
    return {side for side in sides if side is not None and side != BASELINE}


def _scenarios(config: Config, matrix: Matrix) -> dict[str, Data]:
    content = terms_of(config, matrix, next(iter(matrix.pairs))).prompts
    return {
        slug: {
            "digest": s.digest,
            "content": content[slug],
            "prompts": s.planned,
            "expectation": s.expectation,
        }
        for slug, s in matrix.scenarios.items()
    }


def _audit(config: Config) -> Data:
    try:
        found = audit_essentials(config.audit_path)
    except ConfigError:
        found = None
    result = None if found is None else _finite_copy(found)
    return {"file": _file(config, config.audit_path), "result": result}


def _finite_copy(data: Mapping[str, Any]) -> Data:
    """Return data as a JSON reader gives it back, so that a written record compares equal."""
    copied: Data = json.loads(json.dumps(data))
    return copied


def _file(config: Config, path: Path) -> Data:
    digest = sha256(path.read_bytes()).hexdigest() if path.is_file() else None
    return {"file": same_folder(config, str(path)), "sha256": digest}
