"""Devices: what the user wrote, else every CUDA device, else the CPU."""

from __future__ import annotations

import pytest

from safemlrm.config import Model
from safemlrm.engines import devices
from safemlrm.engines.devices import devices_of
from safemlrm.engines.gpus import Gpu
from safemlrm.errors import ConfigError


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
