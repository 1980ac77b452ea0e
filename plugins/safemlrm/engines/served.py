"""What answers behind an address: a server says little of its model, so a few questions tell it again.

The canaries are harmless questions, asked greedily. Those that are answered alike every time are what
a generation of the model is known by. Nothing here is stored; `preflight` remembers generations.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from hashlib import sha256

from safemlrm.config import Model
from safemlrm.engines.background import Background
from safemlrm.engines.chat import Reply, body_of
from safemlrm.engines.endpoint import Endpoint, Endpoints, Rejected
from safemlrm.engines.identity import Decoding
from safemlrm.engines.patience import Patience
from safemlrm.errors import EngineError
from safemlrm.types import Prompt, Request, Turn

QUESTIONS = (
    "Name the four seasons of the year in order.",
    "Write one sentence about a lighthouse.",
    "What is 17 plus 26? Answer in words.",
    "List three things found in a kitchen.",
    "Describe the colour of the sky at dusk in one sentence.",
    "Finish this sentence: The train left the station because",
)
TOKENS = 16
TWICE = 2
ENTRY = ("id", "root", "parent", "owned_by", "max_model_len", "context_length")
"""What an entry of /models says of the model; the rest of it is new at each start of some servers."""
GREEDY = Decoding(max_new_tokens=TOKENS, temperature=0.0, top_p=1.0, top_k=0, min_p=0.0)
# A server that takes no temperature but 1 is asked at that: its canaries are rarely stable.
PLAIN = Decoding(max_new_tokens=TOKENS, temperature=1.0, top_p=1.0, top_k=0, min_p=0.0)

GREETING = Patience(tries=3)
"""Whoever does not answer at the start is not running: that is said soon."""

Answers = Mapping[str, frozenset[str]]
"""The digests of what a question was answered, by its number."""


@dataclass(frozen=True, slots=True)
class Served:
    """What a model behind an address is known by.

    `canaries` are digests of answers; `reported` has what the server said, as "model=...",
    "fingerprint=..." and "entry=..."; several addresses may say several things. `counts` is whether
    it says how many tokens an answer took.
    """

    canaries: Mapping[str, str]
    reported: frozenset[str]
    answers: tuple[Answers, ...] = field(default=(), repr=False)
    counts: bool = True

    def to_json(self) -> str:
        """Write what a later run compares with."""
        return json.dumps(
            {"canaries": dict(self.canaries), "reported": sorted(self.reported)}, sort_keys=True
        )

    @classmethod
    def from_json(cls, text: str) -> Served:
        """Read what `to_json` wrote."""
        data = json.loads(text)
        return cls(dict(data["canaries"]), frozenset(data["reported"]))

    def unlike(self, now: Served) -> str:
        """Say how what is seen now differs; empty where it is the same model as far as can be told."""
        for kind in ("model", "fingerprint", "entry"):
            before, after = _of_kind(self.reported, kind), _of_kind(now.reported, kind)
            if before and after - before:
                return f"the server reports another {kind} than before"
        changed = [n for n, known in self.canaries.items() if _differs(known, n, now.answers)]
        if not changed:
            return ""
        return f"{len(changed)} of {len(self.canaries)} canaries are answered in another way"


def endpoint_of(model: Model) -> str:
    """Name what a model is asked of: its addresses without secrets, and its name there."""
    return json.dumps([sorted(url.name for url in model.url or ()), model.model])


def see(name: str, model: Model, patience: Patience = GREETING) -> Served:
    """Ask every address what it serves, each canary twice.

    Raises `EngineError` when no address answers, or when two do not serve one model.
    """
    background = Background()
    try:
        return background.run(_see(name, model, patience))
    finally:
        background.close()


async def _see(name: str, model: Model, patience: Patience) -> Served:
    async with Endpoints(name, model, patience) as endpoints:
        met = await asyncio.gather(*(_meet(endpoints, model, e) for e in endpoints.all))
    answered = [each for each in met if not isinstance(each, EngineError)]
    if not answered:
        raise next(each for each in met if isinstance(each, EngineError))
    answers = tuple(_collect(replies) for replies, _ in answered)
    stable = [{n for n, texts in each.items() if len(texts) == 1} for each in answers]
    common = {n for n in set.intersection(*stable) if len({each[n] for each in answers}) == 1}
    if all(stable) and not common and len(answers) > 1:
        raise EngineError(
            f"[models.{name}] the addresses in url do not serve one model: none of "
            f"{len(QUESTIONS)} questions is answered alike by all; give each model a table of its own"
        )
    canaries = {n: next(iter(answers[0][n])) for n in sorted(common)}
    reported = frozenset[str]().union(*(said for _, said in answered))
    told = [reply.completion for replies, _ in answered for reply in replies]
    counts = all(c.completion_tokens for c in told if c.text.strip())
    return Served(canaries, reported, answers, counts)


async def _meet(
    endpoints: Endpoints, model: Model, endpoint: Endpoint
) -> tuple[list[Reply], frozenset[str]] | EngineError:
    """Return what one address answers and reports, or why it cannot be asked; another one may."""
    try:
        entry = await endpoints.listed(endpoint)
        replies = await answers_of(endpoints, model, endpoint)
    except EngineError as error:
        return error
    return replies, _reports(replies) | ({f"entry={_entry(entry)}"} if entry else set())


async def admit(endpoints: Endpoints, model: Model, known: Served) -> str:
    """Leave the addresses that do not answer, and say how another one differs from what is known.

    Raises `EngineError` when none answers. One address alone was looked at a moment ago.
    """
    for endpoint in endpoints.all if len(endpoints.all) > 1 else []:
        try:
            found = await _check(endpoints, model, known, endpoint)
        except EngineError as error:
            if endpoints.alive == [endpoint]:
                raise
            endpoints.leave(endpoint, str(error))
            continue
        if found:
            return found
    return ""


async def check(endpoints: Endpoints, model: Model, known: Served) -> str:
    """Ask the canaries again and say what differs, at every address that is still asked."""
    for endpoint in endpoints.alive:
        found = await _check(endpoints, model, known, endpoint)
        if found:
            return found
    return ""


async def _check(endpoints: Endpoints, model: Model, known: Served, endpoint: Endpoint) -> str:
    """Ask one address; a question that is answered in another way is asked twice more."""
    replies = await answers_of(endpoints, model, endpoint, known.canaries, 1)
    found = known.unlike(Served({}, _reports(replies), (_collect(replies),)))
    if found:
        replies += await answers_of(endpoints, model, endpoint, known.canaries, TWICE)
        found = known.unlike(Served({}, _reports(replies), (_collect(replies),)))
    return f"{endpoint.address}: {found}" if found else ""


async def answers_of(
    endpoints: Endpoints,
    model: Model,
    endpoint: Endpoint,
    numbers: Sequence[str] | Mapping[str, str] = tuple(map(str, range(len(QUESTIONS)))),
    times: int = TWICE,
) -> list[Reply]:
    """Ask one address the canaries with these numbers, each so many times, and return the replies."""
    bare = model.model_copy(
        update={"system": None, "thinking": "default", "top_k": None, "min_p": None}
    )
    requests = [
        Request(number, Prompt(number, "canary", (Turn(QUESTIONS[int(number)]),), ""), 0)
        for number in numbers
    ]

    free = asyncio.Semaphore(model.connections)

    async def ask(request: Request, decoding: Decoding) -> Reply:
        async with free:
            return await endpoints.chat(request, body_of(bare, decoding, request), endpoint)

    try:
        return list(await asyncio.gather(*(ask(r, GREEDY) for r in requests * times)))
    except Rejected:
        return list(await asyncio.gather(*(ask(r, PLAIN) for r in requests * times)))


def said_by(reply: Reply) -> frozenset[str]:
    """Return what a reply reports of its model; nothing where a filter replied."""
    if reply.completion.finish == "filter" and not reply.model:
        return frozenset()
    return frozenset({f"model={reply.model}", f"fingerprint={reply.fingerprint}"})


def _reports(replies: Sequence[Reply]) -> frozenset[str]:
    return frozenset(said for reply in replies for said in said_by(reply))


def _of_kind(reported: frozenset[str], kind: str) -> set[str]:
    return {said for said in reported if said.startswith(f"{kind}=")}


def _differs(known: str, number: str, answers: Sequence[Answers]) -> bool:
    """Whether some address was asked a canary and never gave the known answer."""
    return any(number in each and known not in each[number] for each in answers)


def _collect(replies: Sequence[Reply]) -> Answers:
    """Gather the digests of what each question was answered; a blank answer tells nothing."""
    found: dict[str, set[str]] = {}
    for reply in replies:
        text = reply.completion.text
        if text.strip():
            digest = sha256(text.encode()).hexdigest()[:16]
            found.setdefault(reply.completion.key, set()).add(digest)
    return {number: frozenset(digests) for number, digests in found.items()}


def _entry(entry: Mapping[str, object]) -> str:
    return json.dumps({key: entry.get(key) for key in ENTRY}, sort_keys=True)
