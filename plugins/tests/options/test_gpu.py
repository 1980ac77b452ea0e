"""The `gpu` fixture: a device of the size a test asks for, its own one a worker, or a skip."""

from __future__ import annotations

from pathlib import Path

import pytest

SAFETY = """
[models.alone]
engine = "scripted"
[pairs.r1]
candidate = "alone"
[scenarios.fraud]
prompts = 20
[attacks.direct]
[limits]
asr = 0.5
[gpu]
missing = "{missing}"
"""
TESTS = """
import pytest

def test_any(gpu):
    print("GOT", gpu.device, gpu.name, gpu.memory_gib)

@pytest.mark.gpu(memory_gib=60)
def test_large(gpu):
    print("GOT", gpu.device, gpu.name)
"""
SMI = """#!/bin/sh
echo "0, GPU-aa, NVIDIA L4, 23034"
echo "1, GPU-bb, NVIDIA H100, 81559"
"""


@pytest.fixture
def project(pytester: pytest.Pytester) -> Path:
    write(pytester.path, "skip")
    pytester.makepyfile(test_device=TESTS)
    return pytester.path


def write(folder: Path, missing: str) -> None:
    (folder / "safety.toml").write_text(SAFETY.format(missing=missing), "utf-8")


def with_two_gpus(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Put a stand-in for the driver's tool on the path."""
    tool = folder / "bin" / "nvidia-smi"
    tool.parent.mkdir()
    tool.write_text(SMI, "utf-8")
    tool.chmod(0o755)
    monkeypatch.setenv("PATH", str(tool.parent), prepend=":")
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)


def test_each_test_gets_a_device_of_its_size(
    project: Path, pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch
) -> None:
    with_two_gpus(project, monkeypatch)
    result = pytester.runpytest_subprocess("-s", "-p", "no:randomly")
    result.assert_outcomes(passed=2)
    result.stdout.fnmatch_lines(["*GOT cuda:0 NVIDIA L4 22.*", "*GOT cuda:1 NVIDIA H100*"])


def test_two_workers_get_two_devices(
    project: Path, pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch
) -> None:
    with_two_gpus(project, monkeypatch)
    tests = [f"def test_{name}(gpu):\n    assert 0, gpu.device\n" for name in ("one", "two")]
    pytester.makepyfile(test_device="\n".join(tests))
    result = pytester.runpytest_subprocess("-n2", "-p", "no:randomly")
    result.assert_outcomes(failed=2)
    devices = {line.split()[-1] for line in result.outlines if "AssertionError: cuda" in line}
    assert {device for device in devices if device.startswith("cuda")} == {"cuda:0", "cuda:1"}


def test_without_a_gpu_the_test_is_skipped(
    project: Path, pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    result = pytester.runpytest_subprocess("-rs", "-p", "no:randomly")
    result.assert_outcomes(skipped=2)
    result.stdout.fnmatch_lines(["*no GPU is visible*"])
    result.stdout.fnmatch_lines(["*no GPU with at least 60 GiB is visible*"])


def test_or_failed_where_a_gate_must_not_skip(
    project: Path, pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    write(project, "fail")
    result = pytester.runpytest_subprocess()
    result.assert_outcomes(errors=2)
    result.stdout.fnmatch_lines(['*no GPU is visible, and [[]gpu] missing = "fail"*'])
