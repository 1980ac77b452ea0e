"""The JSON schema of a release record, for programs that read one."""

from __future__ import annotations

import json
from functools import cache
from importlib.resources import files

from safemlrm.release.form import ReleaseRecord

SCHEMA_NAME = "release-record.schema.json"


def schema_text() -> str:
    """Return the schema that belongs to the record's form; the packaged file is this text."""
    schema = ReleaseRecord.model_json_schema()
    head = {"$schema": "https://json-schema.org/draft/2020-12/schema"}
    return json.dumps({**head, **schema}, indent=1, sort_keys=True) + "\n"


@cache
def published_schema() -> str:
    """Return the text of the packaged schema."""
    return (files("safemlrm.release") / SCHEMA_NAME).read_text("utf-8")
