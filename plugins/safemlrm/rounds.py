"""Which prompts are asked when: cells in rounds, mixed so that batches stay full (pure but for attacks)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from safemlrm.matrix import Matrix
from safemlrm.plan import Work
from safemlrm.responses.key import cell_key, completion_key, numbered, request_seed
from safemlrm.types import Cell, Identity, Prompt, Request

ROUND = 20


@dataclass(frozen=True, slots=True)
class Asked:
    """A prompt of a cell after its attack: its place in the cell's order and its response's key."""

    cell: str
    position: int
    prompt: Prompt
    key: str


def rounds(
    work: Sequence[Work], identity: Identity, matrix: Matrix, seed: int
) -> Iterator[list[Asked]]:
    """Yield the next ROUND prompts of every cell that still needs some."""
    orders = [list(attacked(item, identity, matrix, seed)) for item in work]
    for start in range(0, max(map(len, orders), default=0), ROUND):
        yield [asked for order in orders for asked in order[start : start + ROUND]]


def attacked(item: Work, identity: Identity, matrix: Matrix, seed: int) -> Iterator[Asked]:
    """Apply a cell's attack to the prompts it needs, in their seeded order."""
    attack = matrix.attacks[item.cell.attack]
    cell = index_key(item.cell, identity, matrix, seed)
    prompts = matrix.scenarios[item.cell.scenario].pool[: item.prompts]
    after = (attack.apply(prompt, seed) for prompt in prompts)
    for position, (prompt, index) in enumerate(numbered(after)):
        key = completion_key(identity, attack, prompt, index, seed)
        yield Asked(cell, position, prompt, key)


def index_key(cell: Cell, identity: Identity, matrix: Matrix, seed: int) -> str:
    """Return the key the store indexes a cell's order under."""
    scenario = matrix.scenarios[cell.scenario]
    return cell_key(identity, scenario.digest, matrix.attacks[cell.attack], seed)


def batches(todo: Mapping[str, Prompt], size: int) -> Iterator[list[Request]]:
    """Cut prompts by key into batches of `size`, like with like, so that little of a batch is padding."""
    requests = [Request(key, prompt, request_seed(key)) for key, prompt in todo.items()]
    requests.sort(key=_likeness)
    for start in range(0, len(requests), size):
        yield requests[start : start + size]


def _likeness(request: Request) -> tuple[int, str, int]:
    turns = request.prompt.turns
    images = sum(len(turn.images) for turn in turns)
    return -images, request.prompt.scenario, sum(len(turn.text) for turn in turns)
