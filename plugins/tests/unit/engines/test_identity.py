"""Whatever can change an answer changes the identity; nothing else does."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from importlib.metadata import PackageNotFoundError
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from safemlrm.config import Model, Reasoning, Script
from safemlrm.engines import identity
from safemlrm.engines.identity import (
    TOP_K,
    UNDONE,
    UNDONE_SAMPLING,
    Decoding,
    decoding_of,
    identity_of,
)
from safemlrm.errors import ConfigError, EngineError

PARTS = {
    "model.safetensors": "weights",
    "config.json": "config",
    "tokenizer.json": "config",
    "qwen.tiktoken": "config",
    "preprocessor_config.json": "processor",
    "chat_template.jinja": "chat_template",
}
BASE = Model(path="models/base")
WEIGHTS = "adapter_model.safetensors"


def changed(path: Path, data: bytes) -> None:
    """Rewrite a file as a copy would: another inode and time."""
    path.unlink()
    path.write_bytes(data)


@pytest.mark.parametrize(("name", "part"), PARTS.items())
def test_each_file_is_part_of_the_identity(checkpoint: Path, name: str, part: str) -> None:
    root = checkpoint.parents[1]
    before = identity_of("base", BASE, root)
    data = (checkpoint / name).read_bytes()
    changed(checkpoint / name, data + b" ")
    after = identity_of("base", BASE, root)
    assert after.digest != before.digest
    assert {key for key in before.parts if before.parts[key] != after.parts[key]} == {part}
    changed(checkpoint / name, data)
    assert identity_of("base", BASE, root) == before


@settings(max_examples=30, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(position=st.integers(0, 6), bit=st.integers(0, 7))
def test_any_changed_bit_of_the_weights_is_noticed(
    checkpoint: Path, position: int, bit: int
) -> None:
    root = checkpoint.parents[1]
    before = identity_of("base", BASE, root)
    path = checkpoint / "model.safetensors"
    data = bytearray(path.read_bytes())
    data[-1 - position] ^= 1 << bit
    changed(path, bytes(data))
    assert identity_of("base", BASE, root).digest != before.digest
    data[-1 - position] ^= 1 << bit
    changed(path, bytes(data))
    assert identity_of("base", BASE, root) == before


@pytest.mark.parametrize(
    "setting",
    [
        {"system": "Be kind."},
        {"thinking": "zero"},
        {"thinking": "more"},
        {"system": ""},
        {"reasoning": Reasoning()},
        {"reasoning": Reasoning(prefilled=True)},
        {"dtype": "bfloat16"},
        {"epoch": "2"},
        {"max_new_tokens": 7},
        {"temperature": 0.0},
        {"top_p": 0.5},
        {"top_k": 5},
        {"min_p": 0.1},
        {"quantize": "int8"},
        {"quantize": "bitsandbytes_int8"},
    ],
    ids=str,
)
def test_each_setting_is_part_of_the_identity(checkpoint: Path, setting: dict[str, Any]) -> None:
    root = checkpoint.parents[1]
    other = BASE.model_copy(update=setting)
    assert identity_of("base", other, root).digest != identity_of("base", BASE, root).digest


@pytest.mark.parametrize(
    "setting",
    [{"batch_size": 1}, {"devices": ("cuda:0", "cuda:1")}, {"temperature": 0.6}, {"top_k": 50}],
    ids=str,
)
def test_how_it_is_run_and_what_it_says_already_are_not(
    checkpoint: Path, setting: dict[str, Any]
) -> None:
    root = checkpoint.parents[1]
    other = BASE.model_copy(update=setting)
    assert identity_of("base", other, root) == identity_of("base", BASE, root)


def test_the_folders_place_and_other_files_do_not_matter(checkpoint: Path, tmp_path: Path) -> None:
    before = identity_of("base", BASE, checkpoint.parents[1])
    copy = tmp_path / "elsewhere"
    shutil.copytree(checkpoint, copy)
    (copy / "README.md").write_text("A model.")
    assert identity_of("release", Model(path=str(copy)), tmp_path) == before


@pytest.mark.parametrize("name", ["modeling.py", "vision/tower/blocks.py"])
def test_code_counts_where_it_is_run(checkpoint: Path, name: str) -> None:
    root, trusting = checkpoint.parents[1], BASE.model_copy(update={"trust_remote_code": True})
    plain, trusted = identity_of("base", BASE, root), identity_of("base", trusting, root)
    (checkpoint / name).parent.mkdir(parents=True, exist_ok=True)
    (checkpoint / name).write_text("x = 1")
    assert identity_of("base", BASE, root) == plain
    assert identity_of("base", trusting, root).digest != trusted.digest


def test_a_scripted_model_is_its_script_and_not_its_faults() -> None:
    folder = Path()
    model = Model(engine="scripted", script=Script(unsafe=0.5))
    before = identity_of("fake", model, folder)
    other = model.model_copy(update={"script": Script(unsafe=0.4)})
    assert identity_of("fake", other, folder).digest != before.digest
    faulty = Script(unsafe=0.5, die_after=3, delay_ms=9, drop=0.5)
    assert identity_of("fake", model.model_copy(update={"script": faulty}), folder) == before


@pytest.mark.parametrize(
    ("own", "expected"),
    [
        (None, Decoding(1024, 0.0, 1.0, 0, 0.0)),
        ({}, Decoding(1024, 0.0, 1.0, 0, 0.0)),
        ({"do_sample": False, "temperature": 0.6}, Decoding(1024, 0.0, 1.0, 0, 0.0)),
        ({"do_sample": True}, Decoding(1024, 1.0, 1.0, 50, 0.0)),
        ({"do_sample": True, "top_k": None, "max_length": 20}, Decoding(1024, 1.0, 1.0, 50, 0.0)),
        ({"do_sample": True, "top_k": 0, "min_p": 0.01}, Decoding(1024, 1.0, 1.0, 0, 0.01)),
        (
            {"do_sample": True, "temperature": 0.6, "top_p": 0.95, "top_k": 20},
            Decoding(1024, 0.6, 0.95, 20, 0.0),
        ),
        ({"max_new_tokens": 9, "min_p": None}, Decoding(9, 0.0, 1.0, 0, 0.0)),
    ],
    ids=str,
)
def test_decoding_comes_from_the_model(
    checkpoint: Path, own: dict[str, Any] | None, expected: Decoding
) -> None:
    path = checkpoint / "generation_config.json"
    path.unlink() if own is None else path.write_text(json.dumps(own))
    assert decoding_of(BASE, checkpoint.parents[1]) == expected


def test_safety_toml_overrides_the_model(checkpoint: Path) -> None:
    (checkpoint / "generation_config.json").write_text('{"top_p": 0.9, "top_k": 20}')
    model = BASE.model_copy(update={"temperature": 1.0, "top_k": 0, "max_new_tokens": 5})
    assert decoding_of(model, checkpoint.parents[1]) == Decoding(5, 1.0, 0.9, 0, 0.0)


@pytest.mark.parametrize(("given", "top_k"), [({}, 50), ({"top_k": 0}, 0), ({"top_k": 7}, 7)])
@pytest.mark.parametrize("own", [{}, {"do_sample": True}], ids=["greedy", "sampling"])
def test_a_temperature_without_top_k_takes_from_fifty(
    checkpoint: Path, own: dict[str, Any], given: dict[str, Any], top_k: int
) -> None:
    (checkpoint / "generation_config.json").write_text(json.dumps(own))
    model = BASE.model_copy(update={"temperature": 0.7, **given})
    assert decoding_of(model, checkpoint.parents[1]) == Decoding(1024, 0.7, 1.0, top_k, 0.0)


def test_fifty_is_the_default_of_transformers() -> None:
    transformers: Any = pytest.importorskip("transformers")
    assert transformers.GenerationConfig._get_default_generation_params()["top_k"] == TOP_K


@pytest.mark.parametrize("name", ["base", "reasoner-aligned", "reasoner-degraded"])
def test_organisms_are_decoded_as_they_were_trained(name: str) -> None:
    model = Model(path=f"organism:{name}")
    assert decoding_of(model, Path()) == Decoding(96, 1.0, 1.0, 0, 0.01)


UNSUPPORTED = {
    "stop_strings": ["User:"],
    "num_beams": 4,
    "penalty_alpha": 0.6,
    "guidance_scale": 1.5,
    "encoder_repetition_penalty": 1.2,
    "encoder_no_repeat_ngram_size": 3,
    "watermarking_config": {"bias": 2.5},
    "token_healing": True,
}
UNSUPPORTED_SAMPLING = {"typical_p": 0.9, "epsilon_cutoff": 3e-4, "eta_cutoff": 3e-4, "top_h": 0.4}


def test_no_unsupported_setting_is_forgotten() -> None:
    assert (set(UNSUPPORTED), set(UNSUPPORTED_SAMPLING)) == (set(UNDONE), set(UNDONE_SAMPLING))


@pytest.mark.parametrize(("key", "value"), (UNSUPPORTED | UNSUPPORTED_SAMPLING).items())
def test_a_setting_that_would_be_dropped_is_named(
    checkpoint: Path, key: str, value: object
) -> None:
    own = {"do_sample": True, key: value}
    (checkpoint / "generation_config.json").write_text(json.dumps(own))
    with pytest.raises(EngineError) as caught:
        identity_of("base", BASE, checkpoint.parents[1])
    text = str(caught.value)
    start = f"[models.base] generation_config.json: {key} = {json.dumps(value)} is not supported; "
    assert text.startswith(start + "remove it there (its default is ")
    assert "\n" not in text


@pytest.mark.parametrize(("key", "value"), UNSUPPORTED_SAMPLING.items())
def test_settings_of_sampling_do_not_matter_to_a_greedy_model(
    checkpoint: Path, key: str, value: object
) -> None:
    root, path = checkpoint.parents[1], checkpoint / "generation_config.json"
    path.write_text(json.dumps({key: value}))
    assert decoding_of(BASE, root).temperature == 0
    with pytest.raises(EngineError, match=f"{key} = "):
        decoding_of(BASE.model_copy(update={"temperature": 1.0}), root)


@pytest.mark.parametrize("default", [0, -1], ids=["first", "last"])
def test_settings_at_their_default_are_fine(checkpoint: Path, default: int) -> None:
    own = {key: values[default] for key, values in {**UNDONE, **UNDONE_SAMPLING}.items()}
    text = json.dumps({"do_sample": True, **own})
    (checkpoint / "generation_config.json").write_text(text)
    assert decoding_of(BASE, checkpoint.parents[1]) == Decoding(1024, 1.0, 1.0, 50, 0.0)


SCRIPTED = Model(engine="scripted")


@pytest.mark.parametrize(
    ("model", "names"),
    [
        (
            BASE,
            [
                "transformers.py",
                "sampling.py",
                "stepping.py",
                "adapter.py",
                "checkpoint.py",
                "processors.py",
                "quantization.py",
                "room.py",
                "images.py",
                "open_turn.py",
                "options.py",
                "thinking.py",
            ],
        ),
        (SCRIPTED, ["options.py", "scripted.py", "thinking.py"]),
    ],
    ids=["transformers", "scripted"],
)
def test_a_mended_engine_is_another_model(
    checkpoint: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    model: Model,
    names: list[str],
) -> None:
    root, package = checkpoint.parents[1], tmp_path / "package"
    before = identity_of("base", model, root)
    shutil.copytree(Path(identity.__file__).parent, package)
    monkeypatch.setattr(identity, "files", lambda _: package)
    assert identity_of("base", model, root) == before
    for source in sorted(package.glob("*.py")):
        data = source.read_bytes()
        source.write_bytes(data.replace(b"\n", b"\r\n"))
        assert identity_of("base", model, root) == before
        source.write_bytes(data + b"# mended\n")
        after = identity_of("base", model, root)
        assert (after.digest != before.digest) == (source.name in names)
        assert (after.parts["code"] != before.parts["code"]) == (source.name in names)
        source.write_bytes(data)


def test_versions_of_libraries_are_part_of_a_checkpoints_identity(
    checkpoint: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = checkpoint.parents[1]
    installed = {"pillow": "11.0.0", "torch": "2.9.0+cu128", "transformers": "5.0.0"}

    def version(name: str) -> str:
        if name not in installed:
            raise PackageNotFoundError(name)
        return installed[name]

    monkeypatch.setattr(identity, "version", version)
    before = identity_of("base", BASE, root)
    assert before.parts["libraries"] == "pillow 11.0.0, torch 2.9.0, transformers 5.0.0"
    installed["torch"] = "2.9.0+cpu"  # another device, which is no part of a model
    assert identity_of("base", BASE, root) == before
    for library in sorted(installed):
        kept = installed.pop(library)
        assert f"{library} absent" in identity_of("base", BASE, root).parts["libraries"]
        assert identity_of("base", BASE, root).digest != before.digest
        installed[library] = kept


def test_libraries_of_adapters_and_quantization_count_where_they_are_used(
    checkpoint: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (checkpoint.parents[1] / "adapter").mkdir()
    (checkpoint.parents[1] / "adapter/adapter_config.json").write_text("{}")
    shutil.copy(
        checkpoint / "model.safetensors",
        checkpoint.parents[1] / "adapter/adapter_model.safetensors",
    )
    monkeypatch.setattr(identity, "version", lambda name: "1")
    used = {
        "": {},
        ", peft 1": {"adapter": "./adapter"},
        ", torchao 1": {"quantize": "int4"},
        ", bitsandbytes 1": {"quantize": "bitsandbytes_int4"},
        ", peft 1, torchao 1": {"adapter": "./adapter", "quantize": "int8"},
    }
    for names, setting in used.items():
        found = identity_of("base", BASE.model_copy(update=setting), checkpoint.parents[1])
        assert found.parts["libraries"] == f"pillow 1, torch 1, transformers 1{names}"


def test_an_adapter_is_its_weights_and_its_settings(checkpoint: Path) -> None:
    root, adapter = checkpoint.parents[1], checkpoint.parents[1] / "adapter"
    shutil.copytree(checkpoint, adapter)
    for old, new in {"config.json": "adapter_config.json", "model.safetensors": WEIGHTS}.items():
        (adapter / old).rename(adapter / new)
    model = BASE.model_copy(update={"adapter": "./adapter"})
    plain, before = identity_of("base", BASE, root), identity_of("base", model, root)
    assert before.digest != plain.digest
    assert before.parts["weights"] == plain.parts["weights"]
    (adapter / "README.md").write_text("An adapter.")
    assert identity_of("base", model, root) == before
    for name in ("adapter_config.json", WEIGHTS):
        data = (adapter / name).read_bytes()
        changed(adapter / name, data + b" ")
        after = identity_of("base", model, root)
        assert {key for key in before.parts if before.parts[key] != after.parts[key]} == {"adapter"}
        changed(adapter / name, data)
    moved = adapter.rename(root / "elsewhere")
    assert identity_of("base", model.model_copy(update={"adapter": str(moved)}), root) == before


def test_a_gguf_file_is_its_bytes_and_not_its_name(tmp_path: Path) -> None:
    file = tmp_path / "model-q4.gguf"
    file.write_bytes(b"GGUF one")
    before = identity_of("base", Model(path=str(tmp_path)), Path())
    assert identity_of("base", Model(path=str(file)), Path()) == before
    (tmp_path / "model-q8.gguf").write_bytes(b"GGUF two")
    assert identity_of("base", Model(path=str(file)), Path()) == before
    other = identity_of("base", Model(path=str(tmp_path / "model-q8.gguf")), Path())
    assert {key for key in before.parts if before.parts[key] != other.parts[key]} == {"weights"}
    changed(tmp_path / "model-q8.gguf", b"GGUF one")
    assert identity_of("base", Model(path=str(tmp_path / "model-q8.gguf")), Path()) == before


@pytest.mark.parametrize("how", ["gguf", "awq"])
def test_quantizing_twice_is_refused_before_anything_is_loaded(
    checkpoint: Path, tmp_path: Path, how: str
) -> None:
    path = checkpoint
    if how == "gguf":
        path = tmp_path / "model.gguf"
        path.write_bytes(b"GGUF....")
    else:
        config = {"model_type": "llama", "quantization_config": {"quant_method": how}}
        (checkpoint / "config.json").write_text(json.dumps(config))
    identity_of("base", Model(path=str(path)), Path())
    line = rf"^\[models.base\] .* quantized already \({how}\); leave quantize = \"int8\" out"
    with pytest.raises(EngineError, match=line):
        identity_of("base", Model(path=str(path), quantize="int8"), Path())


def test_a_scripted_model_needs_no_libraries(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(identity, "version", pytest.fail)
    assert "libraries" not in identity_of("fake", SCRIPTED, Path()).parts


def test_a_broken_generation_config_is_named(checkpoint: Path) -> None:
    (checkpoint / "generation_config.json").write_text('{"do_sample": true, "temperature": "hot"}')
    with pytest.raises(EngineError, match=r"^\[models.base\] generation_config.json: expected num"):
        identity_of("base", BASE, checkpoint.parents[1])


def test_errors_name_the_model(tmp_path: Path) -> None:
    with pytest.raises(EngineError, match=r'^\[models.r1\] path = "./r1": no such folder'):
        identity_of("r1", Model(path="./r1"), tmp_path)
    with pytest.raises(ConfigError, match=r"^\[models.r1\] engine = .transformers. needs path"):
        identity_of("r1", Model(), tmp_path)


def test_identifying_imports_nothing_heavy(checkpoint: Path) -> None:
    code = (
        "import sys; from pathlib import Path; from safemlrm.config import Model\n"
        "from safemlrm.engines.identity import identity_of\n"
        "from safemlrm.engines.children import Children\n"
        f"identity_of('base', Model(path={str(checkpoint)!r}), Path())\n"
        "heavy = {'torch', 'transformers', 'PIL', 'huggingface_hub', 'numpy'} & set(sys.modules)\n"
        "sys.exit(', '.join(heavy) or 0)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
