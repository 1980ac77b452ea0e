"""The process that drives Ray: hands batches to workers and asks again what a lost one had.

Ray schedules; this process only says which batch goes to which worker, since a batch must not wait
for the place of a dead node while others are idle. When the pipe to its parent closes it ends, and
Ray ends the workers of a driver that is gone.
"""

from __future__ import annotations

import logging
import pickle
import signal
import threading
import time
from collections import Counter, deque
from collections.abc import Callable
from dataclasses import dataclass, field
from queue import Empty, SimpleQueue
from threading import Thread
from typing import Any

from safemlrm.engines.child import reason_of, receive, send, take_pipes
from safemlrm.engines.children import IN_FLIGHT, QUIET
from safemlrm.engines.messages import Answered, Batch, Failed
from safemlrm.engines.placing import (
    Lost,
    OnCluster,
    device_of,
    difference,
    first_line,
    gpus_of,
    last_line,
)
from safemlrm.engines.seat import Seat
from safemlrm.errors import EngineError
from safemlrm.types import Identity

CONNECT_SECONDS = 60.0
ROOM_SECONDS = 120.0
TICK_SECONDS = 0.05
LOSSES = 3
"""So many workers a batch may lose before it is taken for what ends them, and so many a worker's place."""
NAMESPACE = "safemlrm"


Tell = Callable[[Answered | Failed | Lost], None]


def main() -> None:
    """Serve a model on a cluster until the parent closes the pipe, or dies, which closes it too."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    inbox, outbox = take_pipes()
    batches: SimpleQueue[Batch] = SimpleQueue()

    def tell(message: Answered | Failed | Lost) -> None:
        send(outbox, message)  # type: ignore[arg-type]  # of the same pipe

    try:
        start: OnCluster = pickle.load(inbox)
        Thread(target=receive, args=(inbox, batches), daemon=True).start()
        connect(start.ray.address, tell)
        Driving(start, tell).serve(batches)
    except (Exception, SystemExit) as error:  # Ray gives up on a cluster by SystemExit
        tell(Failed(reason_of(error)))  # type: ignore[arg-type]  # named by its type


def connect(address: str, tell: Tell) -> None:
    """Join the cluster; `EngineError` when there is none. One that does not answer is not waited for."""
    import ray

    hint = (
        "; start it with `ray start --head` and run on one of its nodes, correct address, or leave "
        "[ray] out to use this machine alone"
    )
    given = f'[ray] address = "{address}"'

    def give_up() -> None:
        tell(Failed(f"{given}: no Ray cluster answered within {CONNECT_SECONDS:g} s{hint}"))

    timer = threading.Timer(CONNECT_SECONDS, give_up)
    timer.daemon = True
    timer.start()
    try:
        ray.init(
            address=address, namespace=NAMESPACE, log_to_driver=False, logging_level=logging.ERROR
        )
    except (ConnectionError, ValueError, RuntimeError, SystemExit) as error:
        said = (str(error).strip() or type(error).__name__).splitlines()[0].rstrip(".")
        raise EngineError(f"{given}: {said}{hint}") from error
    finally:
        timer.cancel()


@dataclass(eq=False)
class Worker:
    """A worker on the cluster: its actor, its node once it has one, the batches it has now."""

    actor: Any
    node: str = "a node"
    placed: bool = False
    ready: bool = False
    batches: dict[Any, Batch] = field(default_factory=dict)


class Driving:
    """The workers of one model, and what each of them is doing."""

    def __init__(self, start: OnCluster, tell: Tell) -> None:
        """Ask the cluster for the workers; it places them while this returns."""
        self._start = start
        self._tell = tell
        self._todo: deque[Batch] = deque()
        self._lost: Counter[int] = Counter()
        self._replaced = 0
        self._workers: list[Worker] = []
        self._waits: dict[Any, Callable[[Any], None]] = {}
        self._owners: dict[Any, Worker] = {}
        self._homeless = time.monotonic()
        for _ in range(start.ray.workers):
            self._place()

    def serve(self, batches: SimpleQueue[Batch]) -> None:
        """Hand out batches as they come and return answers, for good; `EngineError` ends it."""
        import ray

        while True:
            self._take(batches, block=not self._waits and not self._todo)
            self._hand_out()
            done, _ = ray.wait(list(self._waits), timeout=TICK_SECONDS) if self._waits else ([], [])
            for reference in done:
                self._hear(reference)
            self._check_room()

    def _take(self, batches: SimpleQueue[Batch], block: bool) -> None:
        try:
            while True:
                self._todo.append(batches.get(block=block))
                block = False
        except Empty:
            return

    def _place(self) -> None:
        """Ask for one more worker, on the node with the most room."""
        import ray

        start = self._start
        settings, gpus = start.ray, gpus_of(start.model, start.ray)
        quiet = {**QUIET, "OMP_NUM_THREADS": str(max(1, int(settings.cpus)))}
        kind: Any = ray.remote(Seat)
        options = {
            "num_cpus": settings.cpus,
            "num_gpus": gpus,
            "scheduling_strategy": "SPREAD",
            "max_restarts": 0,
            "max_task_retries": 0,
            "runtime_env": {"env_vars": quiet},
        }
        device = device_of(start.model, settings)
        actor = kind.options(**options).remote(start.name, start.model, start.folder, device)
        worker = Worker(actor)
        self._workers.append(worker)
        self._expect(actor.where.remote(), worker, lambda node: self._placed(worker, node))

    def _expect(self, reference: Any, worker: Worker, then: Callable[[Any], None]) -> None:
        self._waits[reference] = then
        self._owners[reference] = worker

    def _hear(self, reference: Any) -> None:
        """Take what a worker returned, or what became of it."""
        import ray
        from ray import exceptions as says

        lost = (
            says.RayActorError,
            says.ObjectLostError,
            says.WorkerCrashedError,
            says.NodeDiedError,
            says.OutOfMemoryError,
        )
        then, worker = self._waits.pop(reference), self._owners.pop(reference)
        if worker not in self._workers:
            return
        try:
            value = ray.get(reference)
        except lost as error:
            self._bury(worker, error)
            return
        except says.RayError as error:
            raise EngineError(
                f"{worker.node}: {type(error).__name__}: {first_line(error)}"
            ) from error
        if isinstance(value, Failed):
            raise EngineError(f"{worker.node}: {value.reason}")
        then(value)

    def _placed(self, worker: Worker, node: str) -> None:
        worker.node, worker.placed = node, True
        self._expect(
            worker.actor.load.remote(), worker, lambda identity: self._loaded(worker, identity)
        )

    def _loaded(self, worker: Worker, identity: Identity) -> None:
        """Compare what a worker has loaded with what was identified; it says so before it answers."""
        if identity.digest != self._start.identity.digest:
            raise EngineError(f"{worker.node}: {difference(self._start.identity, identity)}")
        worker.ready = True

    def _hand_out(self) -> None:
        """Give batches to the workers with the least to do."""
        ready = [worker for worker in self._workers if worker.ready]
        while self._todo and ready:
            worker = min(ready, key=lambda one: len(one.batches))
            if len(worker.batches) >= IN_FLIGHT:
                return
            batch = self._todo.popleft()
            reference = worker.actor.answer.remote(batch)
            worker.batches[reference] = batch
            self._expect(reference, worker, self._answered(worker, reference))

    def _answered(self, worker: Worker, reference: Any) -> Callable[[Any], None]:
        def take(answer: Answered) -> None:
            del worker.batches[reference]
            self._tell(answer)

        return take

    def _bury(self, worker: Worker, error: Exception) -> None:
        """Put back what a dead worker had, and ask for another one, a bounded number of times."""
        import ray

        said = first_line(error)
        if getattr(error, "actor_init_failed", False):
            raise EngineError(
                f"a worker could not be started: {last_line(error)}; install this package, in the "
                "same version, and what its engines need on every node"
            )
        self._workers.remove(worker)
        ray.kill(worker.actor)  # one that cannot be reached may still be at work
        again = sorted(worker.batches.values(), key=lambda batch: batch.number)
        for batch in again:
            self._lost[batch.number] += 1
            if self._lost[batch.number] >= LOSSES:
                raise EngineError(
                    f"{worker.node}: {LOSSES} workers were lost with the same batch, one after "
                    f"another; the last: {said}"
                )
        self._todo.extendleft(reversed(again))
        bound = LOSSES * self._start.ray.workers
        if self._replaced >= bound and not self._workers:
            raise EngineError(f"{bound} workers were replaced and lost; the last: {said}")
        self._tell(
            Lost(
                f"lost the worker on {worker.node} ({type(error).__name__}); {len(again)} batches "
                "are asked again"
            )
        )
        if not any(one.placed for one in self._workers):
            self._homeless = time.monotonic()
        if self._replaced < bound:
            self._replaced += 1
            self._place()

    def _check_room(self) -> None:
        """Give up when the cluster had no room for a single worker for long."""
        import ray

        if any(one.placed for one in self._workers):
            return
        if time.monotonic() - self._homeless < ROOM_SECONDS:
            return
        settings, gpus = self._start.ray, gpus_of(self._start.model, self._start.ray)
        has: dict[str, float] = ray.cluster_resources()  # type: ignore[no-untyped-call]  # Ray leaves it untyped
        raise EngineError(
            f"no node had {settings.cpus:g} CPUs and {gpus:g} GPUs free for a worker for "
            f"{ROOM_SECONDS:g} s; the cluster has {has.get('CPU', 0):g} CPUs and "
            f"{has.get('GPU', 0):g} GPUs in all; see [ray] cpus and gpus (0 asks on CPUs)"
        )
