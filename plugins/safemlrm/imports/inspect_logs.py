"""Logs of inspect_ai: one JSON file, or an .eval archive with a JSON file a sample."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from importlib import import_module
from pathlib import Path
from zipfile import BadZipFile, ZipFile
from zlib import error as zlib_error

from safemlrm.errors import ConfigError
from safemlrm.imports.items import Answered, Finish, Item, answered
from safemlrm.prompts.folder import read_json
from safemlrm.prompts.rows import Row, digest_id, prompt_id

ATTACHED = "attachment://"
FINISH: Mapping[str, Finish] = {
    "max_tokens": "length",
    "model_length": "length",
    "content_filter": "filter",
}
"""Stop reasons that are no ordinary end."""


def read_log(file: Path, model: str | None, scenario: str, attack: str) -> Answered:
    """Return the responses of a log's first epoch; its model where no other name is given.

    A sample that ended in an error has no response. Reasoning stands between think tags, as in a text.
    """
    header, entries = _archive(file) if file.suffix == ".eval" else _plain(file)
    rows = [Row(f"{file.name}, sample {n}", values) for n, values in enumerate(entries, start=1)]
    first = [row for row in rows if row.values.get("epoch", 1) == 1]
    notes = []
    if len(first) < len(rows):
        notes.append(
            f"{len(rows) - len(first)} responses of later epochs were left out: the same questions "
            "again would count as others"
        )
    about = header.get("eval")
    named = about.get("model") if isinstance(about, dict) else None
    name = model or (named if isinstance(named, str) else "model")
    return answered(name, [_item(row, scenario, attack) for row in first], notes)


def _plain(file: Path) -> tuple[Mapping[str, object], list[Mapping[str, object]]]:
    log = read_json(file)
    entries = log.get("samples") if isinstance(log, dict) else None
    if not isinstance(log, dict) or not isinstance(entries, list) or not _objects(entries):
        raise ConfigError(f"{file}: expected an inspect_ai log with samples; name another file")
    return log, entries


def _archive(file: Path) -> tuple[Mapping[str, object], list[Mapping[str, object]]]:
    """Read an archive; names inside are never taken for paths."""
    with suppress(ImportError):
        import_module("zipfile_zstd")  # lets zipfile read what recent versions write
    try:
        with ZipFile(file) as archive:
            names = sorted(n for n in archive.namelist() if n.startswith("samples/"))
            header = json.loads(archive.read("header.json"))
            entries = [json.loads(archive.read(name)) for name in names]
    except NotImplementedError:
        raise ConfigError(
            f"{file}: compressed with zstandard; pip install zipfile-zstd, or convert it by `inspect "
            "log convert --to json`"
        ) from None
    except (OSError, BadZipFile, EOFError, KeyError, RuntimeError, ValueError, zlib_error) as error:
        raise ConfigError(f"{file}: no inspect_ai log ({type(error).__name__})") from None
    if not isinstance(header, dict) or not _objects(entries):
        raise ConfigError(f"{file}: no inspect_ai log; its header or a sample is no object")
    return header, entries


def _objects(values: list[object]) -> bool:
    return all(isinstance(value, dict) for value in values)


def _item(row: Row, scenario: str, attack: str) -> Item:
    number = row.name("id")
    asked = row.values.get("input")
    if isinstance(asked, list):
        users = [m for m in asked if isinstance(m, dict) and m.get("role") == "user"]
        asked = "\n".join(_texts(row, message.get("content"))[1] for message in users)
    question = Row(row.where, {"input": _resolved(row, asked)}).text("input")
    text, finish = _response(row)
    return Item(scenario, attack, prompt_id("inspect", number), question, text, finish)


def _response(row: Row) -> tuple[str | None, Finish]:
    """Return what the model said and how it ended; None where a sample broke."""
    output = row.values.get("output")
    choices = output.get("choices") if isinstance(output, dict) else None
    if row.values.get("error") or not isinstance(choices, list) or not choices:
        return None, "stop"
    message = choices[0].get("message") if isinstance(choices[0], dict) else None
    if not isinstance(message, dict):
        raise row.error("its output has no message", "restore the log")
    reasoning, text = _texts(row, message.get("content"))
    whole = f"<think>{reasoning}</think>{text}" if reasoning else text
    return whole, FINISH.get(str(choices[0].get("stop_reason")), "stop")


def _texts(row: Row, content: object) -> tuple[str, str]:
    """Return reasoning and text of a message; a reasoning that its provider encrypted is none."""
    if not isinstance(content, list):
        return "", str(_resolved(row, content or ""))
    parts: Sequence[object] = content
    return (
        "\n".join(_parts(row, parts, "reasoning")),
        "\n".join(_parts(row, parts, "text")),
    )


def _parts(row: Row, parts: Sequence[object], kind: str) -> Iterator[str]:
    for part in parts:
        if isinstance(part, dict) and part.get("type") == kind and not part.get("redacted"):
            yield str(_resolved(row, part.get(kind, "")))


def _resolved(row: Row, value: object) -> object:
    """Return a text, or the long one that an attachment holds in its place."""
    if not (isinstance(value, str) and value.startswith(ATTACHED)):
        return value
    kept = row.values.get("attachments")
    name = value.removeprefix(ATTACHED)
    if not isinstance(kept, dict) or name not in kept:
        raise row.error(f"attachment {digest_id(name)} is missing", "restore the log")
    return kept[name]
