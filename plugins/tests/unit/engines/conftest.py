"""A folder that looks like a checkpoint, written without torch."""

from __future__ import annotations

import json
import struct
from pathlib import Path

import pytest


def safetensors(data: bytes) -> bytes:
    """Return a safetensors file of one tensor of bytes."""
    header = {"w": {"dtype": "U8", "shape": [len(data)], "data_offsets": [0, len(data)]}}
    text = json.dumps(header).encode()
    return struct.pack("<Q", len(text)) + text + data


@pytest.fixture
def checkpoint(tmp_path: Path) -> Path:
    """Write the files whose contents identify a model."""
    folder = tmp_path / "models" / "base"
    folder.mkdir(parents=True)
    (folder / "config.json").write_text('{"model_type": "llava"}')
    (folder / "generation_config.json").write_text('{"do_sample": true, "temperature": 0.6}')
    (folder / "tokenizer.json").write_text('{"model": {}}')
    (folder / "qwen.tiktoken").write_text("IQ== 0")
    (folder / "tokenizer_config.json").write_text('{"chat_template": "{{ messages }}"}')
    (folder / "preprocessor_config.json").write_text('{"size": 96}')
    (folder / "chat_template.jinja").write_text("{{ messages }}")
    (folder / "model.safetensors").write_bytes(safetensors(b"weights"))
    return folder
