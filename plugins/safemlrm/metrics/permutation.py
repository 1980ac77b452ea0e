"""Is a sum of differences above zero beyond chance? Exact, by flipping their signs."""

from __future__ import annotations

from collections.abc import Sequence


def sign_flip_p_value(differences: Sequence[int]) -> float:
    """Return P(sum of randomly signed differences >= the observed sum), over all sign patterns.

    Each difference belongs to one independent unit (a prompt, summed over the attacks that ask it).
    Under the null hypothesis of no change its sign is a coin flip, whatever its size (Fisher 1935).
    The distribution is built by convolution, so the value is exact up to rounding. Without a
    difference it is 1.
    """
    import numpy as np

    sizes = [abs(d) for d in differences if d]
    reach = sum(sizes)
    if reach == 0:
        return 1.0
    chance = np.ones(1)  # of the sums from -reach to reach of the differences so far
    for size in sizes:
        wider = np.zeros(len(chance) + 2 * size)
        wider[: len(chance)] = chance / 2
        wider[2 * size :] += chance / 2
        chance = wider
    return min(1.0, float(chance[reach + sum(differences) :].sum()))
