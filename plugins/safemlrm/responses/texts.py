"""What responses say, as one digest: it names no word, and with another word it is another one."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from hashlib import sha256

from safemlrm.errors import StoreError
from safemlrm.responses.store import Row, Store

TOGETHER = 500
"""Responses whose texts are held at once: a reasoning model's may be long."""


def texts_digest(store: Store, rows: Sequence[Row]) -> str:
    """Return the digest of the texts that a cell's rows rest on; `StoreError` where one is not there."""
    return digest_of(_texts(store, rows))


def digest_of(texts: Iterable[tuple[int, str]]) -> str:
    """Return the SHA-256 of responses' texts, each with its position, in their order.

    It is that of a line a response with the text as JSON in ASCII, however a store keeps texts.
    """
    digest = sha256()
    for position, text in texts:
        digest.update(f"{position} {json.dumps(text)}\n".encode())
    return digest.hexdigest()


def _texts(store: Store, rows: Sequence[Row]) -> Iterator[tuple[int, str]]:
    for start in range(0, len(rows), TOGETHER):
        part = rows[start : start + TOGETHER]
        found = store.texts(row.key for row in part)
        if any(row.key not in found for row in part):
            raise StoreError(
                f"{store.path}: responses went while their texts were read; do not prune a store that "
                "a run or a command is reading"
            )
        yield from ((row.position, found[row.key]) for row in part)
