"""Devices: what the user wrote, else every CUDA device, else the CPU."""

from __future__ import annotations

import os

import pytest

from safemlrm.config import Model
from safemlrm.engines import devices
from safemlrm.engines.devices import devices_of, see_only
from safemlrm.engines.gpus import Gpu
from safemlrm.errors import ConfigError, EngineError


def test_a_list_is_taken_as_it_is() -> None:
    assert devices_of(Model(devices=("cpu:0", "cpu:1"))) == ("cpu:0", "cpu:1")
    assert devices_of(Model(engine="scripted", devices=("a", "b"))) == ("a", "b")


def test_an_empty_list_is_a_mistake() -> None:
    with pytest.raises(ConfigError, match='expected "auto" or a list'):
        devices_of(Model(devices=()))


def test_a_scripted_model_needs_one_process() -> None:
    assert devices_of(Model(engine="scripted")) == ("cpu",)


def test_without_a_driver_nobody_is_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(devices, "visible_gpus", tuple)
    monkeypatch.setattr(devices, "_cuda_count", pytest.fail)
    assert devices_of(Model()) == ("cpu",)


@pytest.mark.parametrize(
    ("probe", "expected"),
    [
        ("print('noise'); print(3)", ("cuda:0", "cuda:1", "cuda:2")),
        ("print(0)", ("cpu",)),
        ("raise SystemExit(1)", ("cpu",)),
    ],
)
def test_a_child_counts_the_devices(
    monkeypatch: pytest.MonkeyPatch, probe: str, expected: tuple[str, ...]
) -> None:
    monkeypatch.setattr(devices, "visible_gpus", lambda: (Gpu("cuda:0", "some GPU", 80.0),))
    monkeypatch.setattr(devices, "PROBE", probe)
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    devices._cuda_count.cache_clear()
    assert devices_of(Model()) == expected
    devices._cuda_count.cache_clear()


@pytest.mark.parametrize(
    ("gpus", "width", "expected"),
    [
        (4, 1, ("cuda:0", "cuda:1", "cuda:2", "cuda:3")),
        (4, 2, ("cuda:0,1", "cuda:2,3")),
        (5, 2, ("cuda:0,1", "cuda:2,3")),
        (4, 4, ("cuda:0,1,2,3",)),
    ],
)
def test_a_child_of_vllm_has_several_gpus(
    monkeypatch: pytest.MonkeyPatch, gpus: int, width: int, expected: tuple[str, ...]
) -> None:
    monkeypatch.setattr(devices, "visible_gpus", lambda: (Gpu("cuda:0", "some GPU", 80.0),))
    monkeypatch.setattr(devices, "_cuda_count", lambda visible: gpus)
    assert devices_of(Model(engine="vllm", tensor_parallel=width)) == expected


def test_more_gpus_than_there_are(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(devices, "visible_gpus", lambda: (Gpu("cuda:0", "some GPU", 80.0),))
    monkeypatch.setattr(devices, "_cuda_count", lambda visible: 2)
    with pytest.raises(EngineError, match="tensor_parallel = 4: this machine has 2 GPUs"):
        devices_of(Model(engine="vllm", tensor_parallel=4))


@pytest.mark.parametrize(
    ("before", "device", "after"),
    [
        (None, "cuda:2,3", "2,3"),
        ("4,5,6,7", "cuda:2,3", "6,7"),
        ("GPU-a, GPU-b", "cuda:1", "GPU-b"),
        ("4,5", "cpu", "4,5"),
    ],
)
def test_a_child_sees_the_gpus_of_its_device_alone(
    monkeypatch: pytest.MonkeyPatch, before: str | None, device: str, after: str
) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", before or "")
    if before is None:
        monkeypatch.delenv("CUDA_VISIBLE_DEVICES")
    see_only(device)
    assert os.environ["CUDA_VISIBLE_DEVICES"] == after


def test_a_gpu_that_was_not_left_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "4")
    with pytest.raises(EngineError, match='"cuda:1", but CUDA_VISIBLE_DEVICES=4 leaves fewer'):
        see_only("cuda:1")
