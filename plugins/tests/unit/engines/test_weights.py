"""Files that cannot be a model are refused with one line that says what to do."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from safemlrm.engines.folder import Files
from safemlrm.engines.weights import check_files
from safemlrm.errors import EngineError


def refusal(folder: Path) -> str:
    """Return the one line a folder is refused with."""
    with pytest.raises(EngineError) as caught:
        check_files(Files(folder))
    assert "\n" not in str(caught.value)
    assert str(folder) in str(caught.value)
    return str(caught.value)


def test_a_whole_checkpoint_is_accepted(checkpoint: Path) -> None:
    check_files(Files(checkpoint))


def test_no_config(checkpoint: Path) -> None:
    (checkpoint / "config.json").unlink()
    assert "no config.json; expected the folder save_pretrained wrote" in refusal(checkpoint)


def test_a_config_that_is_no_json(checkpoint: Path) -> None:
    (checkpoint / "config.json").write_text("{")
    assert "cannot be read as JSON" in refusal(checkpoint)


@pytest.mark.parametrize("whole", [False, True], ids=["alone", "beside a model"])
def test_an_adapter_is_no_model(checkpoint: Path, whole: bool) -> None:
    """Beside a model the library would add it where PEFT is installed, and only there."""
    (checkpoint / "adapter_config.json").write_text('{"base_model_name_or_path": "org/base"}')
    if not whole:
        (checkpoint / "config.json").unlink()
    text = refusal(checkpoint)
    assert "it holds an adapter (adapter_config.json); name the model it was trained on" in text
    assert "as path (it says org/base), and the adapter's own folder as adapter" in text


def test_no_weights(checkpoint: Path) -> None:
    (checkpoint / "model.safetensors").unlink()
    assert "no weights; expected *.safetensors" in refusal(checkpoint)


@pytest.mark.parametrize("name", ["pytorch_model.bin", "model.pt", "model.ckpt"])
def test_pickles_are_refused(checkpoint: Path, name: str) -> None:
    (checkpoint / "model.safetensors").rename(checkpoint / name)
    assert "can run code when they are loaded; convert them to safetensors" in refusal(checkpoint)


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


def test_a_gguf_file_is_told_by_its_first_bytes(tmp_path: Path) -> None:
    file = tmp_path / "model.gguf"
    file.write_bytes(b"GGUF....")
    check_files(Files(tmp_path, file))
    file.write_bytes(b"<!DOCTYPE html>")
    with pytest.raises(EngineError, match=r"model.gguf: not a GGUF file, by its first bytes"):
        check_files(Files(tmp_path, file))


def test_a_part_of_a_gguf_model(tmp_path: Path) -> None:
    file = tmp_path / "big-00001-of-00003.gguf"
    file.write_bytes(b"GGUF....")
    with pytest.raises(EngineError, match="one part of a GGUF model that was split; join the"):
        check_files(Files(tmp_path, file))


@pytest.fixture
def adapter(checkpoint: Path, tmp_path: Path) -> Path:
    """Write the files of an adapter."""
    folder = tmp_path / "adapter"
    folder.mkdir()
    (folder / "adapter_config.json").write_text("{}")
    (folder / "adapter_model.safetensors").write_bytes(
        (checkpoint / "model.safetensors").read_bytes()
    )
    return folder


def adapter_refusal(checkpoint: Path, adapter: Path) -> str:
    """Return the one line an adapter is refused with."""
    with pytest.raises(EngineError) as caught:
        check_files(Files(checkpoint, adapter=adapter))
    assert "\n" not in str(caught.value)
    assert str(adapter) in str(caught.value)
    return str(caught.value)


def test_a_whole_adapter_is_accepted(checkpoint: Path, adapter: Path) -> None:
    check_files(Files(checkpoint, adapter=adapter))


def test_what_an_adapter_lacks(checkpoint: Path, adapter: Path) -> None:
    (adapter / "adapter_model.safetensors").rename(adapter / "adapter_model.bin")
    assert "can run code when they are loaded; convert" in adapter_refusal(checkpoint, adapter)
    (adapter / "adapter_model.bin").unlink()
    assert "no adapter_model.safetensors" in adapter_refusal(checkpoint, adapter)
    (adapter / "adapter_model.safetensors").write_bytes(b"short")
    assert "not a whole safetensors file" in adapter_refusal(checkpoint, adapter)
    (adapter / "adapter_config.json").write_text("{")
    assert "cannot be read as JSON" in adapter_refusal(checkpoint, adapter)
    (adapter / "adapter_config.json").unlink()
    assert "no adapter_config.json; adapter expects the folder that" in adapter_refusal(
        checkpoint, adapter
    )


@pytest.mark.parametrize("name", ["chat_template.jinja", "tokenizer_config.json"])
def test_an_adapter_with_words_of_its_own(checkpoint: Path, adapter: Path, name: str) -> None:
    def write(template: str) -> None:
        text = template if name.endswith("jinja") else json.dumps({"chat_template": template})
        (adapter / name).write_text(text)

    write("{{ messages }}\n")
    check_files(Files(checkpoint, adapter=adapter))
    write("{{ messages }}<think>")
    assert "its chat template is not that of" in adapter_refusal(checkpoint, adapter)
