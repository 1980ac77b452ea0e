"""The form of a release record; its JSON schema is generated from here."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from safemlrm.types import Channel, Direction, Expectation, Reason, Verdict

FORMAT_VERSION: Literal[2] = 2
"""2: a cell has a digest of its responses' texts."""
NAMES = ("pair", "scenario", "attack", "metric")
"""What a limit and a decision are named by."""
Data = dict[str, Any]
"""A record, or a part of one, as plain data."""
Count = Annotated[int, Field(ge=0)]
Digest = Annotated[str, Field(min_length=1)]
Sha256 = Annotated[str, Field(pattern="^[0-9a-f]{64}$")]
Exact = Annotated[str, Field(pattern=r"^\d+(/[1-9]\d*)?$")]
"""A rate as the exact fraction it was written as."""
Harm = Annotated[int, Field(ge=0, le=5)]
Outcome = tuple[
    Count,
    str,
    str,
    str | None,
    Harm | None,
    Harm | None,
    Harm | None,
    bool | None,
    bool | None,
    str,
]
"""Position, prompt's id, finish, trace state, harm of reasoning, answer, full, refused, helped, path.

The trace state is null where no judge has seen the response.
"""


class Part(BaseModel):
    """A part of the record: immutable, and unknown keys are errors."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class ModelIdentity(Part):
    """What a model was: a digest of all that can change an answer, and of its parts."""

    digest: Digest
    parts: dict[str, str]


class Judged(Part):
    """The judge's contract; `scorers` are the keys its scores have in the store, a model each."""

    judge: str
    kind: str
    digest: Digest
    right: Count | None
    canaries: Count
    scorers: dict[str, Digest]


class Asked(Part):
    """A scenario: the digest of its whole set of prompts, and how many of them are asked.

    `content` identifies the prompts apart from their order, which the seed decides.
    """

    digest: Digest
    content: Digest
    prompts: Count
    expectation: Expectation


class Settled(Part):
    """When, by whom and why a limit was first accepted."""

    by: str
    on: str
    reason: str


class RecordedLimit(Part):
    """A configured limit; `origin` is the place it was written at, with the reason of an override."""

    pair: str
    scenario: str
    attack: str
    metric: str
    value: Exact
    direction: Direction
    n: Count
    level: float
    passes_to: int | None
    fails_from: int | None
    origin: str
    saturated: bool
    accepted: Settled | None


class Waiver(Part):
    """Something the configuration or a flag lets pass: what it is, and the words of its reason."""

    kind: Literal["observed", "saturated", "override", "loosened"]
    about: str
    reason: str


class FileDigest(Part):
    """A file that decisions rest on, by its checksum; null where there was none."""

    file: str
    sha256: Sha256 | None


class Audited(Part):
    """The audit of the judge that lay there: its file, and what reports show of it."""

    file: FileDigest
    result: dict[str, Any] | None


class SideCounts(Part):
    """How many of one model's prompts came out badly, and how many are not known."""

    model: str
    bad: Count
    unknown: Count
    planned: Count


class RecordedDecision(Part):
    """One decision with the counts it was made from."""

    pair: str
    scenario: str
    attack: str
    metric: str
    verdict: Verdict
    reason: Reason
    limit: Exact
    direction: Direction
    unsafe_at: Count
    channel: Channel
    n: Count
    stopped: Count | None
    part: int
    whole: Count
    unknown: Count
    candidate: SideCounts
    base: SideCounts | None
    confirmed: bool
    saturated: bool
    illegible: str
    unaudited: str
    value: float | None
    low: float | None
    high: float | None


class Subject(Part):
    """A configured hypothesis."""

    pair: str
    scenario: str
    attack: str
    metric: str


class CellOutcomes(Part):
    """One model's answers to a cell, a row a prompt; `draw` is not 0 for fresh responses.

    `bad` counts unsafe answers, or refusals of harmless questions. `digest` covers the rows and the
    keys of the responses, which say what was asked; `texts` covers what was answered.
    """

    model: str
    scenario: str
    attack: str
    draw: Count
    planned: Count
    asked: Count
    bad: Count
    unknown: Count
    digest: Sha256
    texts: Sha256
    rows: list[Outcome]


class ReleaseRecord(Part):
    """What a run decided and on what; `checksum` is that of everything else in it."""

    format: Literal[2]
    made: str
    version: str
    profile: str | None
    passed: bool
    observed: bool
    partial: list[str]
    objections: list[str]
    broken: dict[str, str]
    selected: list[str]
    config: dict[str, Any]
    gate: dict[str, Any]
    models: dict[str, ModelIdentity]
    decoding: dict[str, dict[str, Any]]
    judge: Judged | None
    scenarios: dict[str, Asked]
    attacks: dict[str, Digest]
    pairs: dict[str, list[str | None]]
    limits: list[RecordedLimit]
    waivers: list[Waiver]
    audit: Audited
    baselines: list[FileDigest]
    verdicts: dict[str, Count]
    decisions: list[RecordedDecision]
    ungateable: list[Subject]
    undecided: list[Subject]
    not_run: list[str]
    unscored: dict[str, Count]
    cells: list[CellOutcomes]
    checksum: Sha256
