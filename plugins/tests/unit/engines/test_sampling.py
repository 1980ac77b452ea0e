"""Gumbel noise: a draw from the distribution that only the row's seed decides."""

from __future__ import annotations

import pytest
import torch

from safemlrm.engines.identity import Decoding
from safemlrm.engines.sampling import BLOCK_NUMBERS, GumbelNoise, sampler

CPU = torch.device("cpu")
NO_IDS = torch.LongTensor()


def drawn(decoding: Decoding, logits: torch.Tensor, seeds: range) -> torch.Tensor:
    """Draw one token a seed from the same logits."""
    processors = sampler(decoding, seeds, CPU)
    scores = torch.FloatTensor(logits.expand(len(seeds), -1).clone())
    return torch.as_tensor(processors(NO_IDS, scores)).argmax(dim=-1)


@pytest.mark.parametrize(
    ("decoding", "warped"),
    [
        (Decoding(9, 1.0, 1.0, 0, 0.0), [0.5, 0.25, 0.15, 0.07, 0.03]),
        (Decoding(9, 0.5, 1.0, 0, 0.0), [0.2500, 0.0625, 0.0225, 0.0049, 0.0009]),
        (Decoding(9, 1.0, 1.0, 2, 0.0), [0.5, 0.25, 0, 0, 0]),
        (Decoding(9, 1.0, 0.8, 0, 0.0), [0.5, 0.25, 0.15, 0, 0]),
        (Decoding(9, 1.0, 1.0, 0, 0.1), [0.5, 0.25, 0.15, 0.07, 0]),
    ],
    ids=["plain", "temperature", "top_k", "top_p", "min_p"],
)
def test_frequencies_are_the_warped_distribution(decoding: Decoding, warped: list[float]) -> None:
    n = 20_000
    logits = torch.tensor([0.5, 0.25, 0.15, 0.07, 0.03]).log()
    counts = torch.bincount(drawn(decoding, logits, range(n)), minlength=5)
    expected = torch.tensor(warped) / sum(warped) * n
    assert counts[expected == 0].sum() == 0
    seen = expected > 0
    chi_square = ((counts - expected)[seen] ** 2 / expected[seen]).sum()
    assert chi_square < 23  # beyond 0.9999 for up to 4 degrees of freedom


def test_temperature_zero_adds_nothing() -> None:
    assert len(sampler(Decoding(9, 0.0, 1.0, 0, 0.0), [1], CPU)) == 0


@pytest.mark.parametrize("vocabulary", [7, 700, BLOCK_NUMBERS // 3])
def test_noise_is_the_rows_own(vocabulary: int) -> None:
    scores = torch.FloatTensor(torch.zeros(3, vocabulary))
    together, alone = GumbelNoise([5, 6, 7], CPU), GumbelNoise([6], CPU)
    seen = []
    for _ in range(40 if vocabulary < 1000 else 5):
        row = together(NO_IDS, scores)[1]
        assert torch.equal(row, alone(NO_IDS, torch.FloatTensor(scores[1:2]))[0])
        seen.append(row)
    assert len({tuple(row[:7].tolist()) for row in seen}) == len(seen)


def test_forbidden_tokens_stay_forbidden() -> None:
    scores = torch.FloatTensor(torch.full((1, 50), -torch.inf))
    scores[0, 3] = -80.0
    noise = GumbelNoise([1], CPU)
    assert all(noise(NO_IDS, scores).argmax() == 3 for _ in range(50))


@pytest.mark.parametrize("step", [1, 16, 21])
def test_noise_follows_the_rows_that_stay(step: int) -> None:
    """Also in the middle of a block, and twice."""
    scores = torch.FloatTensor(torch.zeros(4, 700))
    all_rows, alone = GumbelNoise([5, 6, 7, 8], CPU), GumbelNoise([8], CPU)
    for number in range(40):
        rows = all_rows(NO_IDS, scores)
        assert torch.equal(rows[-1], alone(NO_IDS, torch.FloatTensor(scores[:1]))[0])
        if number == step:
            all_rows.keep([1, 3])
            scores = torch.FloatTensor(scores[:2])
        if number == step + 3:
            all_rows.keep([1])
            scores = torch.FloatTensor(scores[:1])
