"""Files of human labels: JSON Lines or CSV, a response a row, to which a session only appends."""

from __future__ import annotations

import csv
import json
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import date
from hashlib import sha256
from io import StringIO
from pathlib import Path

from safemlrm.errors import ConfigError

PLACE = ("model", "scenario", "attack", "prompt")
VERDICTS = ("harm", "unsafe", "refused")
YES = {"true": True, "yes": True, "1": True, "false": False, "no": False, "0": False}


@dataclass(frozen=True, slots=True)
class Label:
    """What one person said of one response, which `key` names, or else model, scenario, attack, prompt.

    `harm` is 0 to 5 and `unsafe` yes or no; one of them is enough. All three are None in a row that
    waits to be filled in. `where` is the place in the file.
    """

    where: str
    key: str
    place: tuple[str, str, str, str]
    harm: int | None
    unsafe: bool | None
    refused: bool | None
    labeller: str
    day: str

    @property
    def filled(self) -> bool:
        """Whether a person has said anything."""
        return not (self.harm is None and self.unsafe is None and self.refused is None)

    def verdict(self, unsafe_at: int) -> bool | None:
        """Return whether the person calls the response unsafe; `ConfigError` for a contradiction."""
        by_harm = None if self.harm is None else self.harm >= unsafe_at
        if None not in (by_harm, self.unsafe) and by_harm != self.unsafe:
            said = "unsafe" if self.unsafe else "safe"
            raise ConfigError(
                f"{self.where}: harm {self.harm} with unsafe_at = {unsafe_at} contradicts {said}; keep "
                "the one that is meant"
            )
        return self.unsafe if by_harm is None else by_harm


@dataclass(frozen=True)
class LabelFile:
    """The rows of a file, less a last one that is torn."""

    path: Path
    labels: tuple[Label, ...]
    digest: str

    @property
    def filled(self) -> list[Label]:
        """The rows that say something."""
        return [label for label in self.labels if label.filled]


def read_labels(path: Path) -> LabelFile:
    """Read a file of labels, JSON Lines unless its name ends in .csv.

    A last row that was cut off while it was written does not count. Raises `ConfigError` with file and
    row for a file that cannot be read, is empty, or has a row that is no label.
    """
    try:
        data = path.read_bytes()
        text = data.decode("utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8"
        raise ConfigError(
            f"{path}: the labels cannot be read ({reason}); `safemlrm audit --draw 100 --to FILE` "
            "writes a file to fill in"
        ) from None
    read = _csv_rows if path.suffix.lower() == ".csv" else _json_rows
    rows = list(read(path, text))
    if not rows:
        raise ConfigError(
            f"{path}: there is no label in it; a row has key (or model, scenario, attack, prompt) and "
            "harm (0-5) or unsafe (true, false)"
        )
    labels = tuple(_label(where, row) for where, row in rows)
    return LabelFile(path, labels, sha256(data).hexdigest())


def append_label(path: Path, row: Mapping[str, object]) -> None:
    """Add a row to a JSON Lines file for good: one write, on disk before the next question is asked.

    What a torn row left behind is cut off first. Raises `ConfigError` where the file cannot be written.
    """
    line = json.dumps(row, ensure_ascii=True) + "\n"
    try:
        # Opened for appending, so that two sessions write behind one another.
        with path.open("a+b", buffering=0) as journal:
            journal.seek(0)
            whole = journal.read().rfind(b"\n") + 1
            journal.seek(whole)
            if _is_row(journal.read()):
                line = f"\n{line}"  # an editor left the last row without its line break
            else:
                journal.truncate(whole)
            journal.write(line.encode())
            os.fsync(journal.fileno())
    except OSError as error:
        raise ConfigError(
            f"{path}: the label could not be written ({error.strerror}); the labels before it are "
            "kept: mend that and go on"
        ) from None


def _is_row(data: bytes) -> bool:
    try:
        return isinstance(json.loads(data), dict)
    except ValueError:
        return False


def _json_rows(path: Path, text: str) -> Iterator[tuple[str, Mapping[str, object]]]:
    lines = text.split("\n")
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        try:
            row = json.loads(line)
        except ValueError:
            if number == len(lines):  # no line break behind it: a session ended while it wrote
                return
            raise ConfigError(
                f"{path}:{number}: not JSON; expected a row such as "
                '{"key": "...", "harm": 0, "refused": true}'
            ) from None
        if not isinstance(row, dict):
            raise ConfigError(f"{path}:{number}: expected a JSON object a line, got {line[:40]!r}")
        yield f"{path}:{number}", row


def _csv_rows(path: Path, text: str) -> Iterator[tuple[str, Mapping[str, object]]]:
    reader = csv.DictReader(StringIO(text, newline=""), strict=True)
    try:
        for row in reader:
            if None in row:
                raise ConfigError(f"{path}:{reader.line_num}: has more cells than the header")
            yield f"{path}:{reader.line_num}", row
    except csv.Error as error:
        raise ConfigError(f"{path}:{reader.line_num}: not CSV ({error}); repair the row") from None


def _label(where: str, row: Mapping[str, object]) -> Label:
    if not any(name in row for name in VERDICTS):
        raise ConfigError(f"{where}: no verdict; give harm (0-5), unsafe or refused (true, false)")
    key = _text(where, row, "key")
    model, scenario, attack, prompt = (_text(where, row, name) for name in PLACE)
    if not key and not (model and scenario and attack and prompt):
        raise ConfigError(
            f"{where}: says not which response it is of; give its key, or model, scenario, attack and "
            "prompt"
        )
    return Label(
        where,
        key,
        (model, scenario, attack, prompt),
        _harm(where, row.get("harm")),
        _yes_no(where, "unsafe", row.get("unsafe")),
        _yes_no(where, "refused", row.get("refused")),
        _text(where, row, "labeller"),
        _day(where, _text(where, row, "date")),
    )


def _text(where: str, row: Mapping[str, object], name: str) -> str:
    value = row.get(name)
    if value is None:
        return ""
    if not isinstance(value, str):
        raise ConfigError(f"{where}: {name}: expected a text, got {value!r}")
    return value.strip()


def _day(where: str, text: str) -> str:
    try:
        return date.fromisoformat(text).isoformat() if text else ""
    except ValueError:
        raise ConfigError(
            f"{where}: date: expected a day as 2026-05-17, got {text!r:.40}"
        ) from None


def _harm(where: str, value: object) -> int | None:
    if value is None or (isinstance(value, str) and not value.strip()):
        return None
    try:
        number = float(value) if isinstance(value, int | float | str) else -1.0
    except ValueError:
        number = -1.0
    if isinstance(value, bool) or number not in range(6):
        raise ConfigError(f"{where}: harm: expected a whole number from 0 to 5, got {value!r:.40}")
    return int(number)


def _yes_no(where: str, name: str, value: object) -> bool | None:
    text = str(value).strip().lower()
    if value is None or text == "":
        return None
    if not isinstance(value, bool | str | int) or text not in YES:
        raise ConfigError(f"{where}: {name}: expected true or false, got {value!r:.40}")
    return YES[text]
