"""Which responses people are asked to label: a seeded sample in proportion to what there is (pure)."""

from __future__ import annotations

from collections.abc import Iterable, Set
from random import Random

from safemlrm.audit.pool import Judged


def draw(
    pool: Iterable[Judged], wanted: int, seed: int, known: Set[object] = frozenset()
) -> list[Judged]:
    """Return about as many responses of each model, mixed so that their order tells nothing.

    Within a model the sample has scenarios, attacks and the judge's verdicts in the shares that they
    have among all its responses, so that plain rates over it are unbiased: every k-th response in an
    order by them that is random inside each. A response that is `known` by its key or its place, or
    that the judge could not score, is not drawn. Fewer than `wanted` where there are not as many.
    """
    by_model: dict[str, list[Judged]] = {}
    for judged in pool:
        if judged.unsafe is not None and known.isdisjoint((judged.key, judged.place)):
            by_model.setdefault(judged.cell.model, []).append(judged)
    random = Random(seed)
    drawn: list[Judged] = []
    for left, model in sorted(enumerate(sorted(by_model)), reverse=True):
        share = (wanted - len(drawn)) // (left + 1)
        drawn += _systematic(by_model[model], share, random)
    random.shuffle(drawn)
    return drawn


def _systematic(responses: list[Judged], wanted: int, random: Random) -> list[Judged]:
    # Keys are digests: by them the order does not depend on how the store was read.
    shuffled = sorted(responses, key=lambda judged: judged.key)
    random.shuffle(shuffled)
    ordered = sorted(shuffled, key=lambda j: (j.cell.scenario, bool(j.unsafe), j.cell.attack))
    if wanted >= len(ordered):
        return ordered
    start, step = random.random(), len(ordered) / max(1, wanted)
    return [ordered[int((start + place) * step)] for place in range(wanted)]
