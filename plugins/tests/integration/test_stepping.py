"""Rows that have finished are dropped, and every row has the tokens it has without that."""

from __future__ import annotations

import inspect
import json
import shutil
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import wraps
from pathlib import Path
from typing import Any

import pytest
import torch

from fixtures.architectures import ARCHITECTURES, TEXT_ONLY
from safemlrm.attacks.figstep import render
from safemlrm.config import Model, Reasoning
from safemlrm.engines import stepping
from safemlrm.engines.transformers import TransformersEngine
from safemlrm.types import Completion, Prompt, Request, Turn

pytestmark = pytest.mark.slow
ROWS = 12
TOKENS = 48


@pytest.fixture(autouse=True, scope="module")
def one_thread() -> Iterator[None]:
    """Two OpenMP threads beside another busy process are many times slower than one."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """Return a function that makes an architecture's checkpoint, once."""
    made: dict[str, Path] = {}

    def of(name: str) -> Path:
        if name not in made:
            made[name] = tmp_path_factory.mktemp(name)
            ARCHITECTURES[name](made[name])
            _more_ends(made[name] / "generation_config.json")
        return made[name]

    return of


def _more_ends(file: Path) -> None:
    """Let more tokens end a response, so that rows finish at many different steps."""
    settings = json.loads(file.read_text())
    settings["eos_token_id"] = [settings["eos_token_id"], *range(300, 330)]
    file.write_text(json.dumps(settings))


def requests(pictures: bool) -> list[Request]:
    """Return requests of different lengths with different seeds."""
    return [
        Request(
            f"k-{i}",
            Prompt(
                f"p-{i}",
                "fraud",
                (
                    Turn(
                        f"How {'does ' * (i % 5)}boat {i} work?",
                        (render(f"boat {i % 4}"),) if pictures else (),
                    ),
                ),
                "a boat",
            ),
            100 + i,
        )
        for i in range(ROWS)
    ]


def asked(engine: TransformersEngine, todo: list[Request]) -> list[Completion]:
    """Return completions in the order of the requests."""
    found = {completion.key: completion for completion in engine.generate(todo)}
    return [found[one.key] for one in todo]


@pytest.fixture
def drops(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Note how many rows stay at each drop."""
    seen: list[int] = []
    plain = stepping._drop

    def noted(moving: Any, inputs: dict[str, Any], rows: torch.Tensor) -> None:
        seen.append(len(rows))
        plain(moving, inputs, rows)

    monkeypatch.setattr(stepping, "_drop", noted)
    return seen


def without(engine: TransformersEngine, todo: list[Request]) -> list[Completion]:
    """Ask with the library's own loop."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("safemlrm.engines.transformers.dropping", lambda network: None)
        return asked(engine, todo)


@pytest.mark.parametrize("temperature", [0.0, 1.0])
@pytest.mark.parametrize("name", sorted(ARCHITECTURES))
def test_tokens_are_those_of_the_librarys_loop(
    checkpoint: Callable[[str], Path], drops: list[int], name: str, temperature: float
) -> None:
    settings = {"temperature": temperature, "max_new_tokens": TOKENS, "dtype": "float32"}
    engine = TransformersEngine(Model(path=str(checkpoint(name)), **settings), Path(), "cpu")
    todo = requests(name not in TEXT_ONLY)
    answers = asked(engine, todo)
    assert drops
    assert drops == sorted(drops, reverse=True)
    assert answers == without(engine, todo)
    assert answers == [completion for one in todo for completion in engine.generate([one])]
    assert len({answer.completion_tokens for answer in answers}) > 1


@pytest.mark.parametrize("name", ["llama", "qwen2_5_vl", "gemma3"])
def test_a_trace_that_is_thought_over_again_follows_its_row(
    checkpoint: Callable[[str], Path], drops: list[int], name: str
) -> None:
    """Rows end where their trace closes, at different steps, and some are told to wait."""
    model = Model(
        path=str(checkpoint(name)),
        dtype="float32",
        temperature=1.0,
        max_new_tokens=TOKENS,
        thinking="more",
        thinking_rounds=2,
        reasoning=Reasoning(),
    )
    engine = TransformersEngine(model, Path(), "cpu")
    todo = [
        replace(one, prompt=replace(one.prompt, prefill="Sure," if i % 3 else ""))
        for i, one in enumerate(requests(name not in TEXT_ONLY))
    ]
    answers = asked(engine, todo)
    assert drops
    assert answers == without(engine, todo)
    assert answers == [completion for one in todo for completion in engine.generate([one])]
    assert any("Wait" in answer.text for answer in answers)


def test_a_repetition_penalty_knows_the_padding_of_the_rows_that_stay(
    checkpoint: Callable[[str], Path], drops: list[int], tmp_path: Path
) -> None:
    folder = tmp_path / "penalty"
    shutil.copytree(checkpoint("qwen2"), folder)
    file = folder / "generation_config.json"
    file.write_text(json.dumps({**json.loads(file.read_text()), "repetition_penalty": 1.3}))
    model = Model(path=str(folder), dtype="float32", max_new_tokens=TOKENS)
    engine = TransformersEngine(model, Path(), "cpu")
    todo = requests(False)
    answers = asked(engine, todo)
    assert drops
    assert answers == without(engine, todo)


def unknown_input(network: Any) -> None:
    """Give the network an input of which nobody knows whether it has rows."""
    plain = network._update_model_kwargs_for_generation

    def more(outputs: Any, inputs: dict[str, Any], **settings: Any) -> dict[str, Any]:
        return {**plain(outputs, inputs, **settings), "positions_of_rows": torch.zeros(ROWS)}

    network._update_model_kwargs_for_generation = more
    forward = network.forward

    @wraps(forward)
    def prepared(*arguments: Any, **settings: Any) -> Any:
        settings.pop("positions_of_rows", None)
        return forward(*arguments, **settings)

    network.forward = prepared


def unknown_state(network: Any) -> None:
    """Let a module keep something about the rows it saw."""

    def keep(module: Any, _: Any, output: torch.Tensor) -> None:
        module.seen = output.detach().sum(dim=-1)

    network.get_input_embeddings().register_forward_hook(keep)


@pytest.mark.parametrize("disturb", [unknown_input, unknown_state])
def test_nothing_is_dropped_where_it_is_not_known_how(
    checkpoint: Callable[[str], Path], drops: list[int], disturb: Callable[[Any], None]
) -> None:
    model = Model(path=str(checkpoint("llama")), dtype="float32", max_new_tokens=TOKENS)
    engine = TransformersEngine(model, Path(), "cpu")
    todo = requests(False)
    expected = asked(engine, todo)
    assert drops
    drops.clear()
    disturb(engine._checkpoint.network)
    assert asked(engine, todo) == expected
    assert drops == []


def test_a_cache_of_fixed_size_keeps_its_rows(
    checkpoint: Callable[[str], Path], drops: list[int]
) -> None:
    model = Model(path=str(checkpoint("llama")), dtype="float32", max_new_tokens=TOKENS)
    engine = TransformersEngine(model, Path(), "cpu")
    todo = requests(False)
    expected = asked(engine, todo)
    drops.clear()
    engine._checkpoint.generation.cache_implementation = "static"
    engine._checkpoint.generation.disable_compile = True
    assert asked(engine, todo) == expected
    assert drops == []


def test_an_older_library_has_its_own_loop(
    checkpoint: Callable[[str], Path], drops: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    model = Model(path=str(checkpoint("llama")), dtype="float32", max_new_tokens=TOKENS)
    engine = TransformersEngine(model, Path(), "cpu")
    todo = requests(False)
    expected = asked(engine, todo)
    drops.clear()
    parameters = inspect.signature(lambda self, input_ids: None)
    monkeypatch.setattr("safemlrm.engines.stepping.inspect.signature", lambda _: parameters)
    assert stepping.dropping(engine._checkpoint.network) is None
    monkeypatch.undo()
    assert without(engine, todo) == expected


@pytest.mark.parametrize("name", ["llama", "qwen2_5_vl"])
def test_several_responses_to_a_prompt_are_those_it_has_alone(
    checkpoint: Callable[[str], Path], drops: list[int], name: str
) -> None:
    model = Model(path=str(checkpoint(name)), dtype="float32", max_new_tokens=TOKENS)
    engine = TransformersEngine(model, Path(), "cpu")
    some = requests(name not in TEXT_ONLY)[:3]
    todo = [
        replace(one, key=f"{one.key}/{k}", seed=10 * one.seed + k) for one in some for k in range(5)
    ]
    answers = asked(engine, todo)
    assert drops
    assert answers == [completion for one in todo for completion in engine.generate([one])]
    assert len({answer.text for answer in answers}) > 10
