"""Where a model lies: folders, files, organisms and the hub; what its files tell."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from safemlrm.config import Model
from safemlrm.engines.folder import Files, files_of, model_folder, pinned, reads_text_only
from safemlrm.errors import ConfigError, EngineError


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
    "setting",
    [{"path": "nobody/nothing/model-q4.gguf"}, {"path": "organism:base", "adapter": "nobody/none"}],
    ids=["gguf", "adapter"],
)
def test_gguf_files_and_adapters_of_the_hub(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, setting: dict[str, str]
) -> None:
    from huggingface_hub import constants

    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    key = list(setting)[-1]
    with pytest.raises(EngineError, match=rf'^{key} = "nobody/no.* the Hugging Face hub did not'):
        files_of(Model.model_validate(setting), tmp_path)


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


@pytest.fixture
def gguf(tmp_path: Path) -> Path:
    """Write what looks like a GGUF file, in a folder of its own."""
    (tmp_path / "small").mkdir()
    file = tmp_path / "small" / "model-q4.gguf"
    file.write_bytes(b"GGUF....")
    return file


@pytest.mark.parametrize("path", ["small", "small/model-q4.gguf"], ids=["folder", "file"])
def test_a_gguf_file_is_a_model_of_text_only(gguf: Path, path: str) -> None:
    model, root = Model(path=path), gguf.parents[1]
    assert files_of(model, root) == Files(gguf.parent, gguf)
    assert files_of(pinned(model, root), Path("/nowhere")) == Files(gguf.parent, gguf)
    assert reads_text_only(model, root)


def test_one_of_several_gguf_files_has_to_be_named(gguf: Path) -> None:
    other = gguf.with_name("model-q8.gguf")
    other.write_bytes(b"GGUF....")
    with pytest.raises(EngineError, match=r"2 GGUF files \(model-q4.gguf, .* name one of them"):
        files_of(Model(path=str(gguf.parent)), Path())
    assert files_of(Model(path=str(other)), Path()).gguf == other


def test_safetensors_go_before_gguf(checkpoint: Path) -> None:
    (checkpoint / "model-q4.gguf").write_bytes(b"GGUF....")
    assert files_of(Model(path=str(checkpoint)), Path()) == Files(checkpoint)


def test_an_adapter_lies_relative_to_safety_toml_too(checkpoint: Path) -> None:
    root, model = checkpoint.parents[1], Model(path="models/base", adapter="adapters/mine")
    absent = model.model_copy(update={"adapter": "./adapters/mine"})
    with pytest.raises(EngineError, match=r'^adapter = "./adapters/mine": no such folder \(looked'):
        files_of(absent, root)
    (root / "adapters/mine").mkdir(parents=True)
    found = Files(checkpoint, adapter=root / "adapters/mine")
    assert files_of(model, root) == found
    assert files_of(pinned(model, root), Path("/nowhere")) == found


def test_an_adapter_is_a_folder(gguf: Path) -> None:
    model = Model(path=str(gguf), adapter="small/model-q4.gguf")
    with pytest.raises(EngineError, match=r"is a file; expected the folder it lies in"):
        files_of(model, gguf.parents[1])
