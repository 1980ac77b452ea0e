"""Which prompts are asked when: cells in rounds, mixed so that batches stay full (pure but for attacks)."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import groupby
from math import ceil

from safemlrm.draws import FIRST_RESPONSE
from safemlrm.family import FIRST
from safemlrm.matrix import Matrix
from safemlrm.plan import Work
from safemlrm.responses.key import cell_key, completion_key, fresh_seed, numbered, request_seed
from safemlrm.types import Cell, Identity, Prompt, Request

STEP = 8


@dataclass(frozen=True, slots=True)
class Asked:
    """A prompt of a cell after its attack: its place in the cell's order, its response's key and seed."""

    cell: str
    position: int
    prompt: Prompt
    key: str
    seed: int
    attack: str = ""
    canary: bool = False


def rounds(
    work: Sequence[Work],
    identity: Identity,
    matrix: Matrix,
    seed: int,
    leaves: Callable[[Cell], bool] | None,
    batch: int,
) -> Iterator[list[Asked]]:
    """Yield the next prompts of every cell that still needs some, until `leaves` lets all cells go.

    Every cell starts with its FIRST prompts. Where cells may leave, later rounds are small, so that
    a decided cell costs little, but never smaller than a batch over all cells. None: none leaves.
    """
    orders = {item.cell: list(_responses(item, identity, matrix, seed)) for item in work}
    asked = dict.fromkeys(orders, 0)
    live = list(orders)
    while live:
        step = FIRST if leaves is None else max(STEP, ceil(batch / len(live)))
        round_: list[Asked] = []
        for cell in live:
            start = asked[cell]
            part = orders[cell][start : start + (step if start else FIRST)]
            asked[cell] += len(part)
            round_ += [response for prompt in part for response in prompt]
        yield round_
        live = [cell for cell in live if asked[cell] < len(orders[cell])]
        if leaves is not None:
            live = [cell for cell in live if not leaves(cell)]


def _responses(
    item: Work, identity: Identity, matrix: Matrix, seed: int
) -> Iterator[tuple[Asked, ...]]:
    """Apply a cell's attack to the prompts it needs; each prompt comes with all its responses."""
    draws = (FIRST_RESPONSE, *matrix.further(item.cell.scenario))
    return zip(*(attacked(item, identity, matrix, seed, draw) for draw in draws), strict=True)


def attacked(
    item: Work, identity: Identity, matrix: Matrix, seed: int, draw: int = FIRST_RESPONSE
) -> Iterator[Asked]:
    """Apply a cell's attack to the prompts it needs, in their seeded order.

    Another `draw` asks the same attacked prompts with fresh seeds.
    """
    attack = matrix.attacks[item.cell.attack]
    cell = index_key(item.cell, identity, matrix, seed, draw)
    prompts = matrix.scenarios[item.cell.scenario].pool[: item.prompts]
    after = (attack.apply(prompt, seed) for prompt in prompts)
    for position, (prompt, index) in enumerate(numbered(after)):
        drawn = fresh_seed(seed, draw)
        key = completion_key(identity, attack, prompt, index, drawn)
        own = request_seed(attack, prompt, index, drawn)
        yield Asked(cell, position, prompt, key, own, item.cell.attack)


def by_desk(asked: Iterable[Asked]) -> list[list[Asked]]:
    """Part what a judge reads from what is chosen among options, each as long as there is any."""
    found = list(asked)
    read = [a for a in found if not a.prompt.options]
    chosen = [a for a in found if a.prompt.options]
    return [part for part in (read, chosen) if part]


def index_key(
    cell: Cell, identity: Identity, matrix: Matrix, seed: int, draw: int = FIRST_RESPONSE
) -> str:
    """Return the key the store indexes a cell's order under."""
    scenario, attack = matrix.scenarios[cell.scenario], matrix.attacks[cell.attack]
    return cell_key(identity, scenario.digest, attack, fresh_seed(seed, draw))


def batches(todo: Iterable[Asked], size: int) -> Iterator[list[Request]]:
    """Cut prompts into batches of at most `size`, like with like, so that little of a batch is padding.

    An engine cannot ask prompts with and without pictures at once, so a batch has one kind.
    """
    requests = [
        # The other wordings were for the attacks; a child need not be sent their pictures.
        Request(
            asked.key,
            replace(asked.prompt, forms={}),
            asked.seed,
            attack=asked.attack,
            canary=asked.canary,
        )
        for asked in todo
    ]
    requests.sort(key=_likeness)
    for _, group in groupby(requests, key=lambda request: _likeness(request)[0]):
        alike = list(group)
        for start in range(0, len(alike), size):
            yield alike[start : start + size]


def _likeness(request: Request) -> tuple[int, str, int]:
    turns = request.prompt.turns
    images = sum(len(turn.images) for turn in turns)
    return -images, request.prompt.scenario, sum(len(turn.text) for turn in turns)
