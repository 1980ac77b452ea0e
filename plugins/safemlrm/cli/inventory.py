"""What is in a store, as lines to read."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

from safemlrm.responses.contents import Contents, Verdicts
from safemlrm.responses.schema import SCHEMA_VERSION

DIGITS = 12
"""Characters of a digest that are shown."""


def inventory(path: Path, contents: Contents, scorers: Mapping[str, str]) -> Iterator[str]:
    """Yield the lines; `scorers` names those of the present configuration, by their keys."""
    older = contents.schema < SCHEMA_VERSION
    fate = f"; becomes {SCHEMA_VERSION} when it is next measured into" if older else ""
    last = f", last run {contents.last}" if contents.last else ""
    yield f"{path}: {contents.size:,} bytes, schema {contents.schema}{fate}{last}"
    finishes = _listed(contents.finishes)
    yield f"responses: {contents.total}{f' ({finishes})' if finishes else ''}"
    for model, count in contents.completions.items():
        yield f"  {model}: {count}"
    yield f"cells: {contents.cells}, {contents.unanswered} asked prompts without a response"
    yield "models, as runs found them:"
    for version in contents.versions:
        what = version.digest[:DIGITS] or "could not be read"
        yield f"  {version.model}: {what}, runs {version.runs}, last {version.last or 'not known'}"
    yield "scores, by scorer:"
    for verdicts in contents.verdicts:
        yield f"  {_scored(verdicts, scorers)}"
    cost = contents.cost
    yield f"cost: {cost.requests} requests, {cost.tokens} tokens, {cost.seconds:.0f} s"
    for endpoint, generation in contents.endpoints.items():
        yield f"endpoint {endpoint}: generation {generation}"
    responses, scores = contents.orphans
    yield f"orphans: {responses} responses of no cell, {scores} scores of no response"


def _scored(verdicts: Verdicts, scorers: Mapping[str, str]) -> str:
    name = scorers.get(verdicts.scorer, "not of this configuration")
    return (
        f"{verdicts.scorer[:DIGITS]} ({name}): {verdicts.scores}, {verdicts.unscored} without a verdict; "
        f"traces {_listed(verdicts.states)}"
    )


def _listed(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{name} {count}" for name, count in counts.items())
