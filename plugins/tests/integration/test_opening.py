"""A chat template that opens the trace itself, and a safety.toml that says so or does not."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest

from fixtures.architectures import ARCHITECTURES
from safemlrm.config import Model, Reasoning
from safemlrm.engines import build_engine
from safemlrm.errors import EngineError
from safemlrm.types import Prompt, Request, Turn

pytest.importorskip("torch")
OPENS = "{%- if add_generation_prompt -%}{{ '<think>\\n' }}{%- endif -%}"
EMPTY = "{%- if add_generation_prompt -%}{{ '<think>\\n\\n</think>\\n\\n' }}{%- endif -%}"
TEXT = "its chat template ends every prompt inside a trace (<think>), so that what the model writes"
SPOKEN = Reasoning(open="<|spoken|>", close="<|/spoken|>")


@pytest.fixture(scope="module")
def plain(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Save a model of text only and one that sees; neither template opens a trace."""
    root = tmp_path_factory.mktemp("plain")
    for name in ("qwen2", "llava"):
        ARCHITECTURES[name](root / name)
    return root


def loaded(folder: Path, reasoning: Reasoning | None, **settings: Any) -> Any:
    """Load a model as a child does."""
    model = Model(path=str(folder), reasoning=reasoning, **settings)
    return build_engine("candidate", model, Path(), "cpu")


def extended(plain: Path, name: str, to: Path, more: str) -> Path:
    """Copy a model and let its template write more."""
    folder = Path(shutil.copytree(plain / name, to / name))
    with (folder / "chat_template.jinja").open("a", encoding="utf-8") as template:
        template.write(more)
    return folder


@pytest.mark.parametrize("name", ["qwen2", "llava"])
def test_a_template_that_opens_a_trace_has_to_be_said(
    plain: Path, tmp_path: Path, name: str
) -> None:
    folder = extended(plain, name, tmp_path, OPENS)
    for reasoning in (None, Reasoning()):
        with pytest.raises(EngineError) as caught:
            loaded(folder, reasoning)
        assert str(caught.value).startswith(f"{folder}: {TEXT}")
        assert "write reasoning = { prefilled = true } for this model" in str(caught.value)
        assert "\n" not in str(caught.value)
    prompt = Prompt("p", "fraud", (Turn("How does a boat float?"),), "")
    for system in (None, "Be safe."):
        engine = loaded(folder, Reasoning(prefilled=True), system=system)
        assert len(list(engine.generate([Request("k", prompt, 1)]))) == 1


@pytest.mark.parametrize("name", ["qwen2", "llava"])
def test_a_template_that_opens_none_must_not_be_said_to(plain: Path, name: str) -> None:
    with pytest.raises(EngineError) as caught:
        loaded(plain / name, Reasoning(prefilled=True))
    assert str(caught.value) == (
        f"{plain / name}: reasoning.prefilled = true, but its chat template does not end a prompt "
        "inside a trace (<think>); leave prefilled out, or give the markers it writes"
    )


@pytest.mark.parametrize("more", ["", EMPTY], ids=["none", "an empty one"])
@pytest.mark.parametrize("reasoning", [None, Reasoning()], ids=["unmarked", "marked"])
def test_a_trace_that_is_closed_again_is_not_open(
    plain: Path, tmp_path: Path, more: str, reasoning: Reasoning | None
) -> None:
    loaded(extended(plain, "qwen2", tmp_path, more), reasoning)


def test_other_markers_are_looked_for_and_repeated(plain: Path, tmp_path: Path) -> None:
    opens = OPENS.replace("<think>", SPOKEN.open)
    folder = extended(plain, "qwen2", tmp_path, opens)
    loaded(folder, None)  # no marker of which we know
    with pytest.raises(EngineError, match=r"inside a trace \(<\|spoken\|>\)") as caught:
        loaded(folder, SPOKEN)
    assert (
        'write reasoning = { open = "<|spoken|>", close = "<|/spoken|>", prefilled = true }'
    ) in str(caught.value)
    loaded(folder, SPOKEN.model_copy(update={"prefilled": True}))
