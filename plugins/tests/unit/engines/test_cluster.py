"""What is sent to a Ray cluster, and what its workers say; no Ray is started."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from safemlrm.config import Model
from safemlrm.config.schema import Ray
from safemlrm.engines.cluster import _shipped
from safemlrm.engines.identity import identity_of
from safemlrm.engines.messages import Answered, Batch, Failed
from safemlrm.engines.placing import device_of, difference, first_line, gpus_of, last_line
from safemlrm.engines.seat import Seat
from safemlrm.types import Identity, Prompt, Request, Turn

HERE = Path()


@pytest.mark.parametrize(
    ("model", "gpus", "taken", "device"),
    [
        (Model(), 1.0, 1.0, "cuda:0"),
        (Model(), 0.5, 0.5, "cuda:0"),
        (Model(), 0.0, 0.0, "cpu"),
        (Model(engine="scripted"), 1.0, 0.0, "cpu"),
        (Model(engine="vllm"), 1.0, 1.0, "cuda:0"),
        (Model(engine="vllm", tensor_parallel=4), 1.0, 4.0, "cuda:0,1,2,3"),
        (Model(engine="vllm", tensor_parallel=2), 0.0, 0.0, "cpu"),
    ],
)
def test_a_worker_takes_the_gpus_its_engine_uses(
    model: Model, gpus: float, taken: float, device: str
) -> None:
    settings = Ray(gpus=gpus)
    assert (gpus_of(model, settings), device_of(model, settings)) == (taken, device)


def test_a_folder_is_sent_in_full_and_a_name_as_it_is(tmp_path: Path) -> None:
    (tmp_path / "models/m").mkdir(parents=True)
    sent = _shipped(Model(path="models/m", adapter="models"), tmp_path)
    assert (sent.path, sent.adapter) == (f"{tmp_path}/models/m", f"{tmp_path}/models")
    for path in ("organism:base", "org/name"):
        assert _shipped(Model(path=path), tmp_path).path == path


def test_what_differs_on_a_node_is_named() -> None:
    here = Identity("a", {"weights": "1", "code": "x", "libraries": "torch 2.13"})
    there = Identity("b", {"weights": "1", "code": "y", "libraries": "torch 2.12"})
    line = difference(here, there)
    assert "code, libraries differ (here torch 2.13, there torch 2.12)" in line
    assert "weights" not in line


def test_ray_says_it_in_a_line() -> None:
    assert first_line(ValueError("\n  a \n b")) == "a"
    assert last_line(ValueError("\n  a \n b")) == "b"
    assert first_line(ValueError()) == last_line(ValueError()) == "ValueError"


def test_a_seat_loads_says_what_and_answers() -> None:
    model = Model(engine="scripted")
    seat = Seat("m", model, HERE, "cpu")
    assert seat.load() == identity_of("m", model, HERE)
    request = Request("k", Prompt("p", "fraud", (Turn("How?"),), "x"), 1)
    answer = seat.answer(Batch(7, [request]))
    assert isinstance(answer, Answered)
    assert (answer.number, [completion.key for completion in answer.completions]) == (7, ["k"])
    assert seat.where().startswith("node ")


def test_a_seat_says_why_it_cannot_load(tmp_path: Path) -> None:
    lost = Seat("m", Model(path=str(tmp_path / "gone")), HERE, "cpu").load()
    assert lost == Failed(
        f"{tmp_path}/gone: not there on this node; put the model where every node finds it "
        "under the same path, or give an id of the hub"
    )


def test_the_parent_imports_no_ray() -> None:
    code = "import sys, safemlrm.engines.cluster; sys.exit('ray' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0
