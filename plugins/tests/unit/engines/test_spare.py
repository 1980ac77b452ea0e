"""Optional packages are not there while a plain checkpoint is loaded, and there for all others."""

from __future__ import annotations

import json
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

from safemlrm.config import Model
from safemlrm.engines import spare
from safemlrm.engines.spare import spared

NAME = "safemlrm_spare_example"


@pytest.fixture
def example(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """Install a package that a child can do without."""
    (tmp_path / f"{NAME}.py").write_text("")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(spare, "PACKAGES", (NAME,))
    return NAME


def test_a_plain_checkpoint_is_loaded_without(checkpoint: Path, example: str) -> None:
    with spared(Model(path=str(checkpoint)), checkpoint):
        assert find_spec(example) is None
        with pytest.raises(ModuleNotFoundError):
            __import__(example)
    assert find_spec(example) is not None
    __import__(example)
    del sys.modules[example]


def test_what_is_imported_stays(checkpoint: Path, example: str) -> None:
    module = __import__(example)
    with spared(Model(path=str(checkpoint)), checkpoint):
        assert sys.modules[example] is module
    assert sys.modules.pop(example) is module


@pytest.mark.parametrize(
    "settings",
    [{"quantize": "int8"}, {"trust_remote_code": True}, {"adapter": "adapter"}],
    ids=["quantized", "own code", "adapter"],
)
def test_others_find_all_there_is(
    checkpoint: Path, example: str, settings: dict[str, object]
) -> None:
    model = Model.model_validate({"path": str(checkpoint), **settings})
    with spared(model, checkpoint):
        assert find_spec(example) is not None


def test_quantized_weights_find_all_there_is(checkpoint: Path, example: str) -> None:
    config = {"quantization_config": {"quant_method": "torchao"}}
    (checkpoint / "config.json").write_text(json.dumps(config))
    with spared(Model(path=str(checkpoint)), checkpoint):
        assert find_spec(example) is not None


def test_a_checkpoint_that_is_not_there_is_for_loading_to_refuse(
    tmp_path: Path, example: str
) -> None:
    with spared(Model(path=str(tmp_path / "missing")), tmp_path):
        assert find_spec(example) is not None
