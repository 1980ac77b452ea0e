"""A folder that cannot be a model is refused with one line that says what to do."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from safemlrm.config import Model
from safemlrm.engines.folder import check_folder, model_folder, reads_text_only
from safemlrm.errors import ConfigError, EngineError


def refusal(folder: Path) -> str:
    """Return the one line a folder is refused with."""
    with pytest.raises(EngineError) as caught:
        check_folder(folder)
    assert "\n" not in str(caught.value)
    assert str(folder) in str(caught.value)
    return str(caught.value)


def test_a_whole_checkpoint_is_accepted(checkpoint: Path) -> None:
    check_folder(checkpoint)


def test_no_config(checkpoint: Path) -> None:
    (checkpoint / "config.json").unlink()
    assert "no config.json; expected the folder save_pretrained wrote" in refusal(checkpoint)


def test_a_config_that_is_no_json(checkpoint: Path) -> None:
    (checkpoint / "config.json").write_text("{")
    assert "cannot be read as JSON" in refusal(checkpoint)


def test_an_adapter_alone(checkpoint: Path) -> None:
    (checkpoint / "config.json").rename(checkpoint / "adapter_config.json")
    assert "merge it into its base" in refusal(checkpoint)


def test_no_weights(checkpoint: Path) -> None:
    (checkpoint / "model.safetensors").unlink()
    assert "no weights; expected *.safetensors" in refusal(checkpoint)


@pytest.mark.parametrize("name", ["pytorch_model.bin", "model.pt", "model.ckpt"])
def test_pickles_are_refused(checkpoint: Path, name: str) -> None:
    (checkpoint / "model.safetensors").rename(checkpoint / name)
    assert "can run code when they are loaded; convert them to safetensors" in refusal(checkpoint)


def test_gguf_is_not_loaded(checkpoint: Path) -> None:
    (checkpoint / "model.safetensors").rename(checkpoint / "model.gguf")
    assert "GGUF; save them once as safetensors" in refusal(checkpoint)


@pytest.mark.parametrize("kept", [0, 4, 8, 20, -1])
def test_half_written_weights(checkpoint: Path, kept: int) -> None:
    path = checkpoint / "model.safetensors"
    path.write_bytes(path.read_bytes()[:kept])
    assert "not a whole safetensors file" in refusal(checkpoint)


def test_weights_that_are_something_else(checkpoint: Path) -> None:
    (checkpoint / "model.safetensors").write_bytes(b"version https://git-lfs.github.com/spec/v1")
    assert "not a whole safetensors file: the header is longer" in refusal(checkpoint)


def test_a_missing_shard(checkpoint: Path) -> None:
    shards = {"a": "model.safetensors", "b": "model-00002-of-00002.safetensors"}
    index = checkpoint / "model.safetensors.index.json"
    index.write_text(json.dumps({"weight_map": shards}))
    assert "lists model-00002-of-00002.safetensors, which is missing (1 of 2" in refusal(checkpoint)


def test_relative_paths_start_at_safety_toml(checkpoint: Path) -> None:
    assert model_folder(Model(path="models/base"), checkpoint.parents[1]) == checkpoint
    assert model_folder(Model(path=str(checkpoint)), Path("/nowhere")) == checkpoint


def test_a_file_is_no_folder(checkpoint: Path) -> None:
    with pytest.raises(EngineError, match="is a file; expected the folder"):
        model_folder(Model(path=str(checkpoint / "config.json")), Path())


def test_an_unknown_organism() -> None:
    with pytest.raises(ConfigError, match=r"there is no such organism.*embedded are: "):
        model_folder(Model(path="organism:unheard-of"), Path())


def test_neither_folder_nor_on_the_hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from huggingface_hub import constants

    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    with pytest.raises(EngineError) as caught:
        model_folder(Model(path="nobody/nothing"), tmp_path)
    assert f"no such folder (looked for {tmp_path}/nobody/nothing), and the Hugg" in str(
        caught.value
    )
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("config", "processor", "expected"),
    [
        ({"model_type": "llama"}, False, True),
        ({"model_type": "llama"}, True, False),
        ({"model_type": "llava", "vision_config": {}}, False, False),
        ({"model_type": "chameleon", "image_token_id": 3}, False, False),
        ({"model_type": "mine", "auto_map": {}}, False, False),
    ],
)
def test_a_model_of_text_only_is_told_by_its_files(
    checkpoint: Path, config: dict[str, object], processor: bool, expected: bool
) -> None:
    (checkpoint / "config.json").write_text(json.dumps(config))
    if not processor:
        (checkpoint / "preprocessor_config.json").unlink()
    assert reads_text_only(Model(path=str(checkpoint)), checkpoint) is expected
    assert not reads_text_only(Model(engine="scripted"), checkpoint)
