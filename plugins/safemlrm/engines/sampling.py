"""Sampling in which a response depends on its own seed and not on the batch it is generated in.

Adding Gumbel noise to log-probabilities and taking the largest is a draw from the distribution
(Gumbel-max; Maddison et al. 2014, arXiv 1411.0030). Of the exact ways to draw it is the one that
tiny differences between batch sizes disturb least: inverting the distribution function with one
uniform flips up to 25 times as many tokens.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from transformers import (
    LogitsProcessor,
    LogitsProcessorList,
    MinPLogitsWarper,
    TemperatureLogitsWarper,
    TopKLogitsWarper,
    TopPLogitsWarper,
)

from safemlrm.engines.identity import Decoding

BLOCK_STEPS = 16
BLOCK_NUMBERS = 2**20


def sampler(
    decoding: Decoding,
    seeds: Sequence[int],
    device: torch.device,
    guard: LogitsProcessor | None = None,
) -> LogitsProcessorList:
    """Return the processors after which the largest score is a draw; none but the guard when greedy.

    `seeds` has one seed a row of the batch. A defence's `guard` comes when decoding has left out
    what it leaves out: a defence does not bring back what the model would not have said.
    """
    processors = LogitsProcessorList()
    guards = [] if guard is None else [guard]
    if decoding.temperature == 0:
        processors.extend(guards)
        return processors
    if decoding.temperature != 1:
        processors.append(TemperatureLogitsWarper(decoding.temperature))
    if decoding.top_k > 0:
        processors.append(TopKLogitsWarper(decoding.top_k))
    if decoding.top_p < 1:
        processors.append(TopPLogitsWarper(decoding.top_p))
    if decoding.min_p > 0:
        processors.append(MinPLogitsWarper(decoding.min_p))
    processors.extend([*guards, GumbelNoise(seeds, device)])
    return processors


class GumbelNoise(LogitsProcessor):
    """Adds each row's own noise to its scores; serves one call of `generate`."""

    def __init__(self, seeds: Sequence[int], device: torch.device) -> None:
        """Make a generator a row, on the device of the scores so that noise is not moved."""
        self._generators = [torch.Generator(device).manual_seed(seed) for seed in seeds]
        self._step = 0
        self._block = torch.empty(0)

    def __call__(self, input_ids: torch.LongTensor, scores: torch.FloatTensor) -> torch.FloatTensor:
        """Return scores (rows x vocabulary) plus the noise of this step."""
        rows, vocabulary = scores.shape
        steps = max(1, min(BLOCK_STEPS, BLOCK_NUMBERS // vocabulary))
        if self._step % steps == 0:
            # The shape of a row's draw depends on the vocabulary alone, hence so do its numbers.
            self._block = torch.empty(rows, steps, vocabulary, device=scores.device)
            for row, generator in enumerate(self._generators):
                self._block[row].exponential_(generator=generator)
            # An exponential of 0 would be infinite noise, which no probability can outweigh.
            self._block.clamp_min_(torch.finfo(torch.float32).tiny).log_().neg_()
        noise = self._block[:, self._step % steps]
        self._step += 1
        return torch.add(scores.float(), noise)  # type: ignore[return-value]  # a float32 tensor

    def keep(self, rows: Sequence[int]) -> None:
        """Go on with these rows, each with its own generator and what is left of its noise."""
        self._generators = [self._generators[row] for row in rows]
        self._block = self._block[list(rows)]
