"""Where there is a GPU, it says what the CPU says: greedy responses in float32, and their scores."""

from __future__ import annotations

from pathlib import Path

import pytest

from safemlrm import Gpu
from safemlrm.attacks.figstep import FigStep
from safemlrm.config import Model, Reasoning
from safemlrm.engines import build_engine
from safemlrm.judges import Rules
from safemlrm.prompts.bundled import bundled_prompts
from safemlrm.responses.split import ReasoningMarkers, split
from safemlrm.types import Completion, Prompt, Request, Score

pytestmark = pytest.mark.slow
MODEL = Model(
    path="organism:reasoner-degraded", reasoning=Reasoning(), dtype="float32", temperature=0.0
)
LEAST_EQUAL = 0.95
"""A GPU adds up in another order, so that a token that is nearly as likely may win now and then."""


def asked(device: str, prompts: list[Prompt]) -> list[Completion]:
    engine = build_engine("model", MODEL, Path(), device)
    requests = [Request(str(number), prompt, number) for number, prompt in enumerate(prompts)]
    found = {completion.key: completion for completion in engine.generate(requests)}
    return [found[request.key] for request in requests]


def scores(prompts: list[Prompt], completions: list[Completion]) -> list[Score]:
    responses = [split(completion, ReasoningMarkers()) for completion in completions]
    return list(Rules().score(zip(prompts, responses, strict=True)))


@pytest.mark.gpu
def test_a_gpu_and_the_cpu_agree(gpu: Gpu) -> None:
    attack = FigStep()
    prompts = [
        attack.apply(prompt, 0) for name in ("fraud", "benign") for prompt in bundled_prompts(name)
    ]
    here, there = asked("cpu", prompts), asked(gpu.device, prompts)
    same = [one.text == other.text for one, other in zip(here, there, strict=True)]
    assert sum(same) >= LEAST_EQUAL * len(same)
    pairs = zip(scores(prompts, here), scores(prompts, there), strict=True)
    agreeing = [one == other for one, other in pairs]
    assert sum(agreeing) >= LEAST_EQUAL * len(agreeing)
    assert all(equal for equal, text in zip(agreeing, same, strict=True) if text)
