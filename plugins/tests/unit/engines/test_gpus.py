"""GPUs are read from the driver's tool; a stand-in for it plays a machine with four of them."""

from __future__ import annotations

from pathlib import Path

import pytest

from safemlrm.engines.gpus import visible_gpus

SCRIPT = """#!/bin/sh
echo "0, GPU-aa00, NVIDIA A100-SXM4-80GB, 81920"
echo "1, GPU-bb11, NVIDIA A100-SXM4-80GB, 81920"
echo "2, GPU-cc22, NVIDIA L4, 23034"
echo "3, GPU-dd33, NVIDIA L4, 23034"
"""


@pytest.fixture
def four(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tool = tmp_path / "nvidia-smi"
    tool.write_text(SCRIPT, "utf-8")
    tool.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)


@pytest.mark.usefixtures("four")
def test_all_are_visible_by_default() -> None:
    assert [(gpu.device, round(gpu.memory_gib)) for gpu in visible_gpus()] == [
        ("cuda:0", 80),
        ("cuda:1", 80),
        ("cuda:2", 22),
        ("cuda:3", 22),
    ]


@pytest.mark.usefixtures("four")
@pytest.mark.parametrize(
    ("setting", "names"),
    [
        ("2,0", ["NVIDIA L4", "NVIDIA A100-SXM4-80GB"]),
        ("GPU-cc", ["NVIDIA L4"]),
        ("0,9,1", ["NVIDIA A100-SXM4-80GB"]),
        ("", []),
        ("-1", []),
    ],
)
def test_the_environment_chooses(
    setting: str, names: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", setting)
    assert [gpu.name for gpu in visible_gpus()] == names


def test_no_tool_means_no_gpu(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    assert visible_gpus() == ()
