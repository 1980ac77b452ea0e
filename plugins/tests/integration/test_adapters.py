"""Adapters made by PEFT, on an embedded model: put on it whole, or refused with one line."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from fixtures.checkpoints import ORGANISMS
from safemlrm.attacks import FigStep
from safemlrm.config import Model
from safemlrm.engines import build_engine
from safemlrm.engines.children import Children
from safemlrm.engines.identity import identity_of
from safemlrm.errors import EngineError
from safemlrm.prompts import bundled_prompts
from safemlrm.types import Request

torch: Any = pytest.importorskip("torch")
peft: Any = pytest.importorskip("peft")
transformers: Any = pytest.importorskip("transformers")
pytestmark = pytest.mark.filterwarnings("ignore::FutureWarning:transformers")
BASE = ORGANISMS / "base"
TARGETS = r"model\.language_model\..*\.(q_proj|v_proj|down_proj)"
REQUESTS = [
    Request(prompt.id, FigStep().apply(prompt, 0) if i % 2 else prompt, i)
    for i, prompt in enumerate(bundled_prompts("fraud")[:6])
]


@pytest.fixture(autouse=True, scope="module")
def one_thread() -> Iterator[None]:
    """Two OpenMP threads beside another busy process are many times slower than one."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def network() -> Any:
    """Load the embedded base model."""
    return transformers.AutoModelForImageTextToText.from_pretrained(BASE)


def saved(folder: Path, zero: bool, **settings: Any) -> Path:
    """Save an adapter: `zero` as training starts, when it adds nothing, or with random weights."""
    torch.manual_seed(3)
    config = {"r": 4, "target_modules": TARGETS, "init_lora_weights": zero, **settings}
    adapted = peft.get_peft_model(network(), peft.LoraConfig(**config))
    if not zero:
        with torch.no_grad():
            for name, weight in adapted.named_parameters():
                if "lora_" in name:
                    weight.normal_(0, 0.2)
    adapted.save_pretrained(folder)
    return folder


@pytest.fixture(scope="module")
def adapter(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Save an adapter with random weights."""
    return saved(tmp_path_factory.mktemp("adapters") / "random", zero=False)


def model(adapter: Path | None, **settings: Any) -> Model:
    """Return the embedded base model with an adapter, greedy."""
    own = None if adapter is None else str(adapter)
    return Model(path="organism:base", adapter=own, temperature=0.0, **settings)


def answers(adapter: Path | None, requests: list[Request] = REQUESTS, **settings: Any) -> Any:
    """Return what a model with an adapter answers, by key."""
    engine = build_engine("base", model(adapter, **settings), Path(), "cpu")
    return {completion.key: completion for completion in engine.generate(requests)}


def test_an_adapter_changes_the_answers(adapter: Path) -> None:
    assert answers(adapter) != answers(None)


def test_an_adapter_that_adds_nothing_changes_none(tmp_path: Path) -> None:
    zero = saved(tmp_path / "zero", zero=True)
    assert answers(zero) == answers(None)
    identities = [identity_of("base", model(one), Path()) for one in (None, zero)]
    assert identities[0].digest != identities[1].digest


def test_it_answers_as_peft_does_and_the_same_in_any_batch(adapter: Path, tmp_path: Path) -> None:
    merged = peft.PeftModel.from_pretrained(network(), adapter).merge_and_unload()
    merged.save_pretrained(tmp_path / "merged")
    for file in BASE.glob("*"):
        if not (tmp_path / "merged" / file.name).exists():
            shutil.copy(file, tmp_path / "merged")
    engine = build_engine("m", Model(path=str(tmp_path / "merged"), temperature=0.0), Path(), "cpu")
    ours = answers(adapter)
    assert {completion.key: completion for completion in engine.generate(REQUESTS)} == ours
    one = build_engine("base", model(adapter, batch_size=1), Path(), "cpu")
    assert {completion.key: completion for completion in one.generate(REQUESTS)} == ours


def test_merged_or_beside_the_weights_the_tokens_are_the_same(
    adapter: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    merged = answers(adapter)
    monkeypatch.setattr("safemlrm.engines.checkpoint.merges", lambda *_: False)
    assert answers(adapter) == merged


def test_an_adapter_may_replace_whole_layers(tmp_path: Path) -> None:
    whole = saved(tmp_path / "whole", zero=True, modules_to_save=["multi_modal_projector"])
    assert answers(whole) == answers(None)


def spoilt(**settings: Any) -> Callable[[Path], None]:
    """Return what writes other settings into an adapter's config."""

    def spoil(folder: Path) -> None:
        path = folder / "adapter_config.json"
        path.write_text(json.dumps(json.loads(path.read_text()) | settings))

    return spoil


def halved(folder: Path) -> None:
    """Leave out some tensors."""
    from safetensors.torch import load_file, save_file

    path = folder / "adapter_model.safetensors"
    tensors = {name: value for name, value in load_file(path).items() if "v_proj" not in name}
    save_file(tensors, path, {"format": "pt"})


def poisoned(folder: Path) -> None:
    """Put in what no number is."""
    from safetensors.torch import load_file, save_file

    path = folder / "adapter_model.safetensors"
    tensors = load_file(path)
    next(iter(tensors.values()))[0, 0] = float("nan")
    save_file(tensors, path, {"format": "pt"})


@pytest.mark.parametrize(
    ("spoil", "reason"),
    [
        (spoilt(r=8), r"size mismatch for .*q_proj.lora_A.*\[4, 96\].*\[8, 96\]"),
        (spoilt(target_modules=["no_such_layer"]), r"Target modules .*no_such_layer.* not found"),
        (
            spoilt(target_modules=TARGETS.replace("|v_proj", "")),
            r"8 of its tensors have no place and 0 are missing \(.*v_proj.lora_A",
        ),
        (halved, r"0 of its tensors have no place and 8 are missing \(.*v_proj.lora_A"),
        (poisoned, r"NaNs detected in the merged weights"),
        (spoilt(peft_type="MAGIC"), r"MAGIC"),
        (
            spoilt(peft_type="PROMPT_TUNING", task_type="CAUSAL_LM", num_virtual_tokens=4),
            r"PROMPT_TUNING learns a prompt, and only weights can be added",
        ),
    ],
    ids=["rank", "targets", "fewer", "half", "nan", "type", "prompt"],
)
@pytest.mark.filterwarnings("ignore:Unexpected keyword arguments:UserWarning")
def test_an_adapter_that_does_not_fit_is_refused(
    adapter: Path, tmp_path: Path, spoil: Callable[[Path], None], reason: str
) -> None:
    spoil(Path(shutil.copytree(adapter, tmp_path / "spoilt")))
    with pytest.raises(EngineError, match=reason) as caught:
        answers(tmp_path / "spoilt")
    assert str(caught.value).startswith(f"{tmp_path}/spoilt: the adapter does not fit the model: ")
    assert str(caught.value).endswith("; name the model it was trained on as path")
    assert "\n" not in str(caught.value)


def test_missing_peft_is_named(adapter: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("safemlrm.engines.adapter.find_spec", lambda name: None)
    with pytest.raises(EngineError, match=r"needs peft: pip install \"pytest-safemlrm\[peft\]\""):
        answers(adapter)


@pytest.mark.slow
def test_children_put_it_on_from_a_relative_path(adapter: Path) -> None:
    root = adapter.parent
    own = model(None, devices=("cpu",), quantize="int8").model_copy(
        update={"adapter": f"./{adapter.name}"}
    )
    identity = identity_of("base", own, root)
    with Children("base", own, root, identity.digest) as children:
        [completions] = children.ask([REQUESTS])
    ours = {completion.key: completion for completion in completions}
    assert ours == answers(adapter, quantize="int8")
    assert ours != answers(None, quantize="int8")
