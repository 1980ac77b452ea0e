"""What identifies a completion: everything that could change it, and nothing else."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Iterator
from hashlib import sha256

from safemlrm.responses.split import split_digest
from safemlrm.types import Attack, Identity, Prompt


def cell_key(identity: Identity, scenario_digest: str, attack: Attack, seed: int) -> str:
    """Identify one model's answers to a scenario's pool under an attack."""
    return _digest("cell", identity.digest, scenario_digest, attack.digest, seed)


def numbered(prompts: Iterable[Prompt]) -> Iterator[tuple[Prompt, int]]:
    """Number prompts of equal content 0, 1, 2, ...: two asked prompts never share one response."""
    seen: Counter[str] = Counter()
    for prompt in prompts:
        content = _digest(_content(prompt))
        yield prompt, seen[content]
        seen[content] += 1


def completion_key(
    identity: Identity, attack: Attack, attacked: Prompt, index: int, seed: int
) -> str:
    """Identify one response: who was asked what, how, with which seed, for the how-manieth time."""
    return _digest(
        "completion",
        identity.digest,
        attacked.scenario,
        attack.digest,
        _content(attacked),
        # The judge reads these too: a score must not outlive an edited phrase.
        [attacked.phrase, attacked.expectation, attacked.language, *_right(attacked)],
        index,
        seed,
    )


def request_seed(attack: Attack, attacked: Prompt, index: int, seed: int) -> int:
    """Return the seed of a request's own generator, so that a response does not depend on its batch.

    The model is not part of it: base and candidate meet the same chance, and a new version of a
    library draws what the old one drew.
    """
    where = (attacked.scenario, attack.digest, _content(attacked), index, seed)
    return int(_digest("seed", *where)[:15], 16)


def fresh_seed(seed: int, draw: int) -> int:
    """Return the seed of a prompt's `draw`-th response; number 0 is the one that every run asks."""
    return seed if draw == 0 else int(_digest("draw", seed, draw)[:8], 16)


def scorer_key(judge_digest: str, markers: object) -> str:
    """Identify how responses are scored: the judge, and how a trace is told from an answer."""
    return _digest("scorer", judge_digest, split_digest(), repr(markers))


def _content(prompt: Prompt) -> list[list[object]]:
    """List what a model reads: its turns, what its own turn already says, what it chooses from."""
    turns: list[list[object]] = [
        [turn.text, [image.digest for image in turn.images]] for turn in prompt.turns
    ]
    turns += [[prompt.prefill]] if prompt.prefill else []
    return [*turns, ["options", *prompt.options]] if prompt.options else turns


def _right(prompt: Prompt) -> list[int]:
    """Name the right option of a multiple-choice question, nothing for another prompt."""
    return [prompt.correct] if prompt.options else []


def _digest(*parts: object) -> str:
    text = json.dumps(parts, ensure_ascii=True, separators=(",", ":"))
    return sha256(text.encode()).hexdigest()
