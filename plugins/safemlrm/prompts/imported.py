"""Prompts of imported responses: the JSON Lines file that `safemlrm import` writes, all scenarios in it."""

from __future__ import annotations

import json

from safemlrm.config import suggest
from safemlrm.errors import ConfigError
from safemlrm.prompts.folder import read_text
from safemlrm.prompts.rows import Asked, Loaded, Row, gather
from safemlrm.types import Prompt, Turn


def load(asked: Asked) -> Loaded:
    """Read the scenario's prompts; their ids stay as they were imported."""
    file = asked.folder / str(asked.table.path)
    rows = [
        _row(f"{file.name}, line {number}", line)
        for number, line in enumerate(read_text(file).splitlines(), start=1)
    ]
    known = {row.text("scenario") for row in rows}
    if asked.area not in known:
        raise ConfigError(
            f"{file.name} has no prompt of {asked.area!r}{suggest(asked.area, known)}"
        )
    prompts, _ = gather(
        (row for row in rows if row.text("scenario") == asked.area),
        lambda row: Prompt(row.text("id"), asked.slug, (Turn(row.text("text")),), phrase=""),
        "fail",
        f"{file.name}: no prompt",
    )
    return Loaded(prompts)


def _row(where: str, line: str) -> Row:
    try:
        values = json.loads(line)
    except ValueError:
        values = None
    if not isinstance(values, dict):
        raise ConfigError(f"{where}: expected a JSON object; import again to write the file anew")
    return Row(where, values)
