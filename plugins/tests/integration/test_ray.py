"""Workers on a Ray cluster: the scores of a plain run, whatever happens to nodes, workers and parents."""

from __future__ import annotations

import os
import re
import signal
import socket
import sqlite3
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from fixtures.cluster import Hosts, ray_cluster
from fixtures.projects import CELLS, Folder, safety_toml
from safemlrm.config import Model, Script
from safemlrm.config.schema import Ray
from safemlrm.engines import cluster as module
from safemlrm.engines.cluster import Cluster
from safemlrm.engines.identity import identity_of
from safemlrm.errors import EngineError
from safemlrm.types import Completion, Identity, Prompt, Request, Turn

HERE = Path()
PROMPTS = 60
RESPONSES = CELLS * PROMPTS
BATCH = 8
DEADLINE_SECONDS = 90
DELAY = "delay_ms = 200"
SCRIPT = 'by_cell = { "fraud/figstep" = 1.0 }, '
RAY = '[ray]\naddress = "{address}"\nworkers = 2\ngpus = 0\n'
ORGANISM = """
[models.candidate]
path = "organism:reasoner-aligned"
reasoning = {}
batch_size = 8
[pairs.r1]
candidate = "candidate"
[scenarios.fraud]
prompts = 24
[attacks.direct]
[attacks.figstep]
[limits]
asr = 0.3
"""


@pytest.fixture(scope="module")
def hosts() -> Iterator[Hosts]:
    """A cluster on this host; a test that kills a node starts another."""
    with ray_cluster(nodes=2) as started:
        yield started


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> Folder:
    """A project whose models were asked by children of this machine."""
    folder = Folder(tmp_path_factory.mktemp("undisturbed"))
    folder.write(toml(""))
    assert folder.start().wait() == pytest.ExitCode.TESTS_FAILED
    return folder


def toml(ray: str, delay: str = "delay_ms = 0") -> str:
    """Return a safety.toml whose models are asked on a cluster, if one is given."""
    return safety_toml(candidate=SCRIPT + delay, prompts=PROMPTS, batch_size=BATCH, more=ray)


def wait_for(condition: Callable[[], bool]) -> None:
    """Wait until something holds; a generous deadline keeps a broken test from hanging."""
    deadline = time.monotonic() + DEADLINE_SECONDS
    while not condition():
        assert time.monotonic() < deadline, "the condition never held"
        time.sleep(0.02)


def committed(folder: Folder) -> int:
    """Return the number of responses in a store that another process writes, or creates."""
    try:
        return folder.completions
    except sqlite3.OperationalError:  # the table is not there yet
        return 0


def stored(folder: Folder) -> list[tuple[Any, ...]]:
    """Return every response and score of a store, sorted."""
    completions = folder.query("select * from completion order by key")
    return completions + folder.query("select * from score order by key, scorer")


def seats(hosts: Hosts) -> list[str]:
    """Return the workers of this cluster that run; Ray titles them by class, children of their raylet."""
    done = subprocess.run(
        ["ps", "-A", "-ww", "-o", "pid=,ppid=,stat=,args="],
        capture_output=True,
        text=True,
        check=True,
    )
    rows = [line.split(None, 3) for line in done.stdout.splitlines()]
    raylets = {row[0] for row in rows if hosts.address in row[-1] and "raylet" in row[-1]}
    return [
        row[-1]
        for row in rows
        if row[1] in raylets and row[-1].startswith("ray::Seat") and not row[2].startswith("Z")
    ]


def batches(count: int, size: int = 4) -> list[list[Request]]:
    """Return numbered requests in batches."""
    prompt = Prompt("p", "fraud", (Turn("How does a boat work?"),), "a boat")
    return [[Request(f"{b}-{i}", prompt, i) for i in range(size)] for b in range(count)]


def keys(answers: list[list[Completion]]) -> list[list[str]]:
    return sorted([completion.key for completion in batch] for batch in answers)


def asking(model: Model, ray: Ray, identity: Identity | None = None) -> Cluster:
    """Return a model that is asked on a cluster, without a gate around it."""
    return Cluster("fake", model, HERE, ray, identity or identity_of("fake", model, HERE))


def scripted(**script: Any) -> Model:
    return Model(engine="scripted", script=Script(**script))


def on(hosts: Hosts, workers: int = 2) -> Ray:
    return Ray(address=hosts.address, workers=workers, gpus=0)


@pytest.mark.slow
def test_a_node_that_is_killed_costs_its_work_in_flight_and_nothing_else(
    hosts: Hosts, undisturbed: Folder, tmp_path: Path
) -> None:
    folder = Folder(tmp_path)
    folder.write(toml(RAY.format(address=hosts.address), DELAY))
    run = folder.start()
    wait_for(lambda: committed(folder) >= 3 * BATCH)
    hosts.kill()
    assert run.wait(DEADLINE_SECONDS) == pytest.ExitCode.TESTS_FAILED
    hosts.add()
    assert stored(folder) == stored(undisturbed)
    assert folder.asked == RESPONSES  # each was handed over once, and none was stored twice
    assert folder.summary_text == undisturbed.summary_text
    [line] = [line for line in folder.output.read_text().splitlines() if "lost" in line]
    assert re.search(r"lost the worker on node \S+ \(process \d+\) \(Actor\w+Error\); ", line)
    wait_for(lambda: not seats(hosts))


@pytest.mark.slow
def test_a_real_model_answers_as_its_child_does(hosts: Hosts, tmp_path: Path) -> None:
    rows = []
    for name, ray in (("plain", ""), ("cluster", RAY.format(address=hosts.address))):
        folder = Folder(tmp_path / name)
        folder.path.mkdir()
        folder.write(ORGANISM + ray)
        folder.start().wait()
        assert set(folder.decisions.values()) == {"PASS"}, folder.output.read_text()
        rows.append(stored(folder))
    assert len(rows[0]) == 2 * (48 + 6)  # responses and scores, and the legibility canary's
    assert rows[0] == rows[1]


@pytest.mark.slow
@pytest.mark.parametrize("sign", [signal.SIGINT, signal.SIGKILL])
def test_workers_end_with_the_run_and_the_next_one_goes_on(
    hosts: Hosts, undisturbed: Folder, tmp_path: Path, sign: signal.Signals
) -> None:
    folder = Folder(tmp_path)
    folder.write(toml(RAY.format(address=hosts.address), DELAY))
    run = folder.start()
    wait_for(lambda: committed(folder) >= BATCH)
    assert seats(hosts)
    if sign == signal.SIGINT:
        os.killpg(run.pid, sign)
    else:
        run.send_signal(sign)
    assert run.wait(DEADLINE_SECONDS) == (
        pytest.ExitCode.INTERRUPTED if sign == signal.SIGINT else -sign
    )
    wait_for(lambda: not seats(hosts))
    kept = folder.completions
    assert BATCH <= kept < RESPONSES
    folder.edit(DELAY, "delay_ms = 0")
    assert folder.start().wait() == pytest.ExitCode.TESTS_FAILED
    assert folder.asked == RESPONSES - kept
    assert folder.summary_text == undisturbed.summary_text


@pytest.mark.slow
def test_every_batch_comes_back_once_and_the_cluster_can_be_asked_again(hosts: Hosts) -> None:
    with asking(scripted(), on(hosts)) as cluster:
        next(cluster.ask(batches(9, size=1)))
        for _ in range(2):  # what an abandoned question left is not mixed in
            assert keys(list(cluster.ask(batches(9)))) == [
                [f"{b}-{i}" for i in range(4)] for b in range(9)
            ]
    wait_for(lambda: not seats(hosts))


@pytest.mark.slow
def test_what_ends_every_worker_ends_the_model(hosts: Hosts) -> None:
    answers: list[list[Completion]] = []
    with (
        asking(scripted(die_after=4), on(hosts, 1)) as cluster,
        pytest.raises(EngineError) as caught,
    ):
        answers.extend(cluster.ask([*batches(1), [*batches(2, size=5)[1]]]))
    assert keys(answers) == [["0-0", "0-1", "0-2", "0-3"]]
    assert re.fullmatch(
        r"model 'fake' on the Ray cluster: node \S+ \(process \d+\): 3 workers were lost with the "
        r"same batch, one after another; the last: .+",
        str(caught.value),
    )


@pytest.mark.slow
def test_an_engine_that_fails_is_one_line(hosts: Hosts, tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text("{}")
    model = Model(path=str(tmp_path))
    with asking(model, on(hosts), Identity("d")) as cluster, pytest.raises(EngineError) as caught:
        list(cluster.ask(batches(1)))
    assert re.search(r"^model 'fake' on the Ray cluster: node .*: no weights; ", str(caught.value))


@pytest.mark.slow
def test_a_node_without_the_package_is_told_of(
    hosts: Hosts, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "only_here.py").write_text(
        "from safemlrm.engines.seat import Seat as S\nclass Seat(S): pass"
    )
    elsewhere = (
        f"import sys; sys.path.insert(0, {str(tmp_path)!r}); import only_here\n"
        "from safemlrm.engines import driver; driver.Seat = only_here.Seat; driver.main()"
    )
    monkeypatch.setattr(module, "DRIVER", elsewhere)
    with (
        asking(scripted(), on(hosts)) as cluster,
        pytest.raises(EngineError, match=r"could not be started: ModuleNotFoundError: .*only_here"),
    ):
        list(cluster.ask(batches(1)))


@pytest.mark.slow
def test_no_answer_of_another_model_is_yielded(hosts: Hosts) -> None:
    other = Identity("that of another", {"libraries": "transformers 9.9"})
    with asking(scripted(), on(hosts), other) as cluster:
        for _ in range(2):
            with pytest.raises(EngineError, match="is not the one that was identified here: code"):
                list(cluster.ask(batches(5)))


@pytest.mark.slow
def test_without_room_nobody_waits_for_ever(hosts: Hosts, monkeypatch: pytest.MonkeyPatch) -> None:
    hurried = "from safemlrm.engines import driver; driver.ROOM_SECONDS = 2; driver.main()"
    monkeypatch.setattr(module, "DRIVER", hurried)
    greedy = Ray(address=hosts.address, gpus=0, cpus=64)
    with (
        asking(scripted(), greedy) as cluster,
        pytest.raises(
            EngineError, match=r"no node had 64 CPUs and 0 GPUs free .* has \d CPUs and 0"
        ),
    ):
        list(cluster.ask(batches(1)))


@pytest.mark.slow
def test_all_nodes_lost_keeps_what_came_back(monkeypatch: pytest.MonkeyPatch) -> None:
    impatient = (
        "from safemlrm.engines import driver\n"
        "bury = driver.Driving._bury\n"
        "def hurried(*arguments):\n"
        "    driver.ROOM_SECONDS = 1\n"
        "    bury(*arguments)\n"
        "driver.Driving._bury = hurried\n"
        "driver.main()"
    )
    monkeypatch.setattr(module, "DRIVER", impatient)
    answers: list[list[Completion]] = []
    with ray_cluster(nodes=1) as own, asking(scripted(delay_ms=200), on(own, 1)) as cluster:
        answering = cluster.ask(batches(100))
        answers.append(next(answering))
        own.kill()
        with pytest.raises(EngineError, match="no node had 1 CPUs and 0 GPUs free for a worker"):
            answers.extend(answering)
    assert [batch[0] for batch in keys(answers)] == sorted(f"{b}-0" for b in range(len(answers)))
    assert 1 <= len(answers) < 100


@pytest.mark.slow
def test_a_lost_head_is_a_broken_model_and_not_the_end_of_the_run(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Ray ends the process that drives it, after a minute unless it is told otherwise."""
    monkeypatch.setenv("RAY_gcs_rpc_server_reconnect_timeout_s", "3")
    with ray_cluster(nodes=1) as own, asking(scripted(delay_ms=200), on(own, 1)) as cluster:
        answering = cluster.ask(batches(1000))
        next(answering)
        own.lose_head()
        with pytest.raises(EngineError, match=r"^model 'fake' on the Ray cluster: "):
            list(answering)


def test_no_cluster_is_one_line_that_says_what_to_do() -> None:
    with (
        asking(scripted(), Ray(address="nonsense", gpus=0)) as cluster,
        pytest.raises(EngineError) as caught,
    ):
        list(cluster.ask(batches(1)))
    assert str(caught.value) == (
        "model 'fake' on the Ray cluster: [ray] address = \"nonsense\": Invalid address format: "
        "nonsense; start it with `ray start --head` and run on one of its nodes, correct address, "
        "or leave [ray] out to use this machine alone"
    )


def test_an_address_that_does_not_answer_is_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    hurried = "from safemlrm.engines import driver; driver.CONNECT_SECONDS = 0.5; driver.main()"
    monkeypatch.setattr(module, "DRIVER", hurried)
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        address = f"127.0.0.1:{silent.getsockname()[1]}"
        with (
            asking(scripted(), Ray(address=address, gpus=0)) as cluster,
            pytest.raises(EngineError, match=r"no Ray cluster answered within 0.5 s; start it"),
        ):
            list(cluster.ask(batches(1)))


def test_without_ray_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "find_spec", lambda name: None)
    with pytest.raises(EngineError, match=r'pip install "pytest-safemlrm\[ray\]"$'):
        asking(scripted(), Ray()).__enter__()
