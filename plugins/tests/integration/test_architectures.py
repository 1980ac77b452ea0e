"""Every architecture we claim, on a tiny checkpoint with random weights: asked as its authors ask it."""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import replace
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest
import torch
import transformers
from PIL import Image as Pictures

from fixtures.architectures import ARCHITECTURES, SEEING
from fixtures.dialects import CLOSE, THINK
from safemlrm.config import Model, Reasoning
from safemlrm.engines import build_engine
from safemlrm.engines.processors import load_processor
from safemlrm.types import Completion, Engine, Image, Prompt, Request, Turn

hf: Any = transformers  # many of its signatures are untyped
SIZES = ((32, 32), (64, 40), (40, 96), (120, 60))
BATCH = 16


@pytest.fixture(autouse=True, scope="module")
def one_thread() -> Iterator[None]:
    """Two OpenMP threads beside another busy process are many times slower than one."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="module")
def checkpoints(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Save a checkpoint of each architecture."""
    root = tmp_path_factory.mktemp("architectures")
    for name, save in ARCHITECTURES.items():
        save(root / name)
    return {name: root / name for name in ARCHITECTURES}


def loaded(folder: Path, **settings: Any) -> Engine:
    """Load a checkpoint as a child does."""
    return build_engine(folder.name, Model(path=str(folder), **settings), Path(), "cpu")


def drawn(seed: int, size: tuple[int, int] = (32, 32)) -> Image:
    """Return a picture of noise."""
    picture = Pictures.frombytes("RGB", size, random.Random(seed).randbytes(3 * size[0] * size[1]))
    buffer = BytesIO()
    picture.save(buffer, "PNG")
    return Image(buffer.getvalue())


def asking(name: str, prefill: str = "") -> list[Request]:
    """Return requests of different lengths, with no picture, one or two, of different sizes."""
    requests = []
    for number in range(BATCH):
        shown = number % 3 if name in SEEING else 0
        images = tuple(drawn(10 * number + i, SIZES[(number + i) % 4]) for i in range(shown))
        turn = Turn("How " + "does " * (number % 7) + f"boat {number} work?", images)
        prompt = Prompt(f"p-{number}", "fraud", (turn,), "a paper boat", prefill=prefill)
        requests.append(Request(f"k-{number:02}", prompt, 1000 + number))
    return requests


def asked(engine: Engine, requests: list[Request]) -> dict[str, Completion]:
    """Ask at once and return completions by key."""
    return {completion.key: completion for completion in engine.generate(requests)}


def asked_alone(engine: Engine, requests: list[Request]) -> dict[str, Completion]:
    """Ask one by one and return completions by key."""
    return {one.key: completion for one in requests for completion in engine.generate([one])}


def control(tokenizer: Any) -> set[str]:
    """Return the special tokens that are no part of a response."""
    added = tokenizer.added_tokens_decoder.values()
    return {token.content for token in added if token.special} - {CLOSE}


@pytest.mark.parametrize("prefill", ["", "Sure, here"], ids=["plain", "begun"])
@pytest.mark.parametrize("temperature", [0.0, None], ids=["greedy", "sampled"])
@pytest.mark.parametrize("name", ARCHITECTURES)
def test_a_response_does_not_depend_on_its_batch(
    checkpoints: dict[str, Path], name: str, temperature: float | None, prefill: str
) -> None:
    engine = loaded(checkpoints[name], temperature=temperature, reasoning=Reasoning())
    requests = asking(name, prefill)
    alone = asked_alone(engine, requests)
    assert asked(engine, requests) == alone
    assert asked(engine, requests[::-1]) == alone
    assert len({completion.text for completion in alone.values()}) > BATCH / 2
    # Rows of a batch end at different steps, or nothing is shown of those that go on.
    assert len({completion.completion_tokens for completion in alone.values()}) > 2


@pytest.mark.parametrize("name", SEEING)
def test_each_picture_changes_the_answer(checkpoints: dict[str, Path], name: str) -> None:
    engine = loaded(checkpoints[name])
    shown = [(), (1,), (2,), (1, 2), (1, 3)]
    turns = [Turn("What is shown?", tuple(map(drawn, seeds))) for seeds in shown]
    prompts = [Prompt(f"p-{i}", "fraud", (turn,), "x") for i, turn in enumerate(turns)]
    # One seed for all: only the pictures differ.
    answers = asked(engine, [Request(prompt.id, prompt, 7) for prompt in prompts])
    assert len({answer.text for answer in answers.values()}) == len(shown)
    tokens = [answers[prompt.id].prompt_tokens for prompt in prompts]
    assert tokens[0] < tokens[1] == tokens[2] < tokens[3] == tokens[4]


@pytest.mark.parametrize("name", ARCHITECTURES)
def test_a_trace_survives_decoding_and_control_tokens_do_not(
    checkpoints: dict[str, Path], name: str
) -> None:
    requests = asking(name)
    answers = asked(loaded(checkpoints[name], reasoning=Reasoning()), requests)
    text = "".join(answer.text for answer in answers.values())
    assert THINK in text
    assert CLOSE in text
    tokenizer = hf.AutoTokenizer.from_pretrained(checkpoints[name])
    assert not [token for token in control(tokenizer) if token in text]
    without = asked(loaded(checkpoints[name]), requests)  # there `</think>` is a control token
    assert not any(CLOSE in answer.text for answer in without.values())
    lengths = {key: answer.completion_tokens for key, answer in answers.items()}
    assert {key: answer.completion_tokens for key, answer in without.items()} == lengths


@pytest.mark.parametrize("name", ARCHITECTURES)
def test_a_greedy_answer_is_that_of_plain_generate(checkpoints: dict[str, Path], name: str) -> None:
    folder = checkpoints[name]
    config = hf.AutoConfig.from_pretrained(folder)
    processor, tokenizer = load_processor(name in SEEING, config, folder, False)
    kind = hf.AutoModelForImageTextToText if name in SEEING else hf.AutoModelForCausalLM
    network = kind.from_pretrained(folder).eval()
    engine = loaded(folder, temperature=0.0, reasoning=Reasoning())
    for one in asking(name)[:6]:
        [turn] = one.prompt.turns
        pictures = [Pictures.open(BytesIO(image.data)) for image in turn.images]
        shown = [{"type": "image", "image": picture} for picture in pictures]
        content = [*shown, {"type": "text", "text": turn.text}] if name in SEEING else turn.text
        inputs = processor.apply_chat_template(
            [{"role": "user", "content": content}],
            tokenize=True,
            return_dict=True,
            return_tensors="pt",
            add_generation_prompt=True,
        )
        written = network.generate(**inputs, do_sample=False)[0, inputs["input_ids"].shape[1] :]
        ended = written.tolist()[-1:] == [tokenizer.eos_token_id]
        [answer] = engine.generate([one])
        assert answer.completion_tokens == len(written)
        assert answer.finish == ("stop" if ended else "length")
        assert answer.prompt_tokens == inputs["input_ids"].shape[1]
        plain = tokenizer.decode(written[:-1] if ended else written)
        for token in control(tokenizer):
            plain = plain.replace(token, "")
        assert answer.text == plain


@pytest.mark.parametrize("name", ARCHITECTURES)
def test_a_begun_turn_adds_its_own_tokens_alone(checkpoints: dict[str, Path], name: str) -> None:
    engine = loaded(checkpoints[name], temperature=0.0, max_new_tokens=1)
    plain = asking(name)
    begun = [replace(one, prompt=replace(one.prompt, prefill="?")) for one in plain]
    before, after = asked(engine, plain), asked(engine, begun)
    added = {key: after[key].prompt_tokens - before[key].prompt_tokens for key in before}
    assert set(added.values()) == {1}
