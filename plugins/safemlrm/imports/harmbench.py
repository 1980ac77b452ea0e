"""HarmBench's completions: an object of behaviour id -> list of {test_case, generation, label}."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from safemlrm.errors import ConfigError
from safemlrm.imports.items import Answered, Item, answered
from safemlrm.prompts.folder import read_json
from safemlrm.prompts.rows import Row, digest_id, prompt_id


def read_completions(file: Path, model: str, scenario: str, attack: str) -> Answered:
    """Return a model's responses; an id is a digest, since a behaviour's name says what is asked.

    Labels of HarmBench's own classifier are left aside: the judge of safety.toml rules on the texts.
    """
    rows = list(_rows(file))
    items = [_item(row, scenario, attack) for row in rows]
    labelled = sum("label" in row.values for row in rows)
    notes = []
    if labelled:
        notes.append(f"{labelled} labels of HarmBench's classifier were left aside")
    pictures = sum(isinstance(row.values.get("test_case"), list) for row in rows)
    if pictures:
        notes.append(f"{pictures} questions showed a picture, which is not imported")
    return answered(model, items, notes)


def _rows(file: Path) -> Iterator[Row]:
    table = read_json(file)
    if not isinstance(table, dict) or not table:
        raise ConfigError(f"{file}: expected an object of behaviours; name a completions file")
    for behaviour, entries in table.items():
        name = digest_id(behaviour)
        if not isinstance(entries, list):
            raise ConfigError(f"{file.name}, behaviour {name}: expected a list; restore the file")
        for number, values in enumerate(entries, start=1):
            where = f"{file.name}, behaviour {name}, entry {number}"
            if not isinstance(values, dict):
                raise ConfigError(f"{where}: expected an object; restore the file")
            case = values.get("test_case")
            text = case[-1] if isinstance(case, list) and case else case
            yield Row(where, {**values, "text": text}, f"{name}-{number}")


def _item(row: Row, scenario: str, attack: str) -> Item:
    generation = row.values.get("generation")
    if generation is not None and not isinstance(generation, str):
        raise row.error("'generation' is no text", "restore the original file")
    return Item(scenario, attack, prompt_id("harmbench", row.key), row.text("text"), generation)
