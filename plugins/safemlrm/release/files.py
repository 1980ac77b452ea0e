"""A release record on disk: written whole, with a checksum, and read strictly."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from functools import partial
from hashlib import sha256
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from safemlrm.errors import ConfigError
from safemlrm.release.differences import shown
from safemlrm.release.form import FORMAT_VERSION, ReleaseRecord
from safemlrm.reporting.summary import write_whole

RECORD_NAME = "release-record.json"


def write_record(data: Mapping[str, Any], folder: Path) -> Path:
    """Write a record with its checksum, whole or not at all; `SafemlrmError` where it cannot be."""
    path = folder / RECORD_NAME
    write_whole(path, record_text(data))
    return path


def record_text(data: Mapping[str, Any]) -> str:
    """Return a record as JSON, a line a limit, a decision and a cell so that a review can read it."""
    whole = {**data, "checksum": checksum_of(data)}
    parts = [f"{json.dumps(key)}: {_lines(value)}" for key, value in whole.items()]
    return "{" + ",\n".join(parts) + "}\n"


def _lines(value: object) -> str:
    if isinstance(value, Sequence) and not isinstance(value, str) and value:
        return "[\n" + ",\n".join(_compact(item) for item in value) + "]"
    return _compact(value)


def _compact(value: object) -> str:
    return json.dumps(value, sort_keys=True, separators=(",", ":"), allow_nan=False)


def checksum_of(data: Mapping[str, Any]) -> str:
    """Return the SHA-256 of a record's canonical JSON without its checksum.

    Whoever edits a record can compute it anew: it finds accidents, and a signature finds the rest.
    """
    rest = {key: value for key, value in data.items() if key != "checksum"}
    return sha256(_compact(rest).encode()).hexdigest()


def read_record(path: Path) -> ReleaseRecord:
    """Return the record in a file, whether or not its checksum fits; `ConfigError` where it is none."""
    try:
        text = path.read_bytes()
        record = ReleaseRecord.model_validate_json(text, strict=True)
    except OSError as error:
        raise ConfigError(
            f"{path}: the release record cannot be read ({error.strerror}); a finished run writes "
            f"{RECORD_NAME} into the folder of [report]"
        ) from None
    except ValidationError as error:
        raise ConfigError(f"{path}: {_refused(error)}") from None
    json.loads(text, object_pairs_hook=partial(_once, path))
    return record


def _refused(error: ValidationError) -> str:
    """Say why a text is no record: which format it has, where it names another one, or what is wrong."""
    problems = error.errors(include_url=False)
    of_format = [each["input"] for each in problems if each["loc"] == ("format",)]
    if of_format and isinstance(of_format[0], int):
        return (
            f"a release record of format {of_format[0]}, and this version reads format {FORMAT_VERSION} "
            "(format 1 does not cover the responses' texts); read it with the version that wrote it, or "
            "write a record of what the store holds now: pytest, which asks nothing twice"
        )
    first = problems[0]
    where = ".".join(map(str, first["loc"]))[:120]
    return (
        f"not a release record of this version ({where or 'text'}: {first['msg'][:160]}); "
        "take the one that the run wrote, or the version that wrote it"
    )


def _once(path: Path, pairs: Sequence[tuple[str, object]]) -> None:
    """Refuse a key that is there twice: who reads the file would see the one, and a program the other."""
    seen = set[str]()
    for key, _ in pairs:
        if key in seen:
            raise ConfigError(
                f"{path}: the key {shown(key)!r} is twice in one object, so that readers may see another "
                "record than the one that is checked; take the file that the run wrote"
            )
        seen.add(key)
