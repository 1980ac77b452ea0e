"""Workers on an existing Ray cluster: one process of ours drives them, so that this one imports no Ray.

Ray ends the process that drives it when its own node is lost, writes to its terminal and changes
its signal handlers; all of that happens to a child (`driver.py`).
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator
from importlib.util import find_spec
from itertools import count
from pathlib import Path
from queue import Empty, SimpleQueue
from types import TracebackType

from safemlrm.config import Model
from safemlrm.config.schema import Ray
from safemlrm.engines.children import IN_FLIGHT, Child, Event
from safemlrm.engines.messages import Answered, Batch, Failed
from safemlrm.engines.placing import Lost, OnCluster
from safemlrm.errors import EngineError
from safemlrm.types import Completion, Identity, Request

LOG = logging.getLogger(__name__)
DRIVER = "from safemlrm.engines.driver import main; main()"


class Cluster:
    """The workers of one model on a Ray cluster, as a context manager: they end when it is left."""

    def __init__(self, name: str, model: Model, folder: Path, ray: Ray, identity: Identity) -> None:
        """Remember what to load; `folder` is that of safety.toml.

        Workers that load another model than `identity` are not listened to.
        """
        self._name = name
        self._start = OnCluster(name, _shipped(model, folder), folder, ray, identity)
        self._driver: Child | None = None
        self._events: SimpleQueue[Event] = SimpleQueue()
        self._numbers = count()
        self._out: set[int] = set()
        self._failure: str | None = None

    def __enter__(self) -> Cluster:
        """Start the driver; it connects and its workers load while this returns."""
        if find_spec("ray") is None:
            raise EngineError('[ray] needs ray: pip install "pytest-safemlrm[ray]"')
        try:
            self._driver = Child(self._start, 1, self._events, DRIVER)
        except OSError as error:
            raise EngineError(f"{self._name}: cannot start a process: {error}") from None
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """End the driver, and Ray its workers, whatever happened."""
        if self._driver is not None:
            self._driver.stop()

    def ask(self, batches: Iterable[list[Request]]) -> Iterator[list[Completion]]:
        """Yield each batch's completions as it returns, in any order.

        A request the engine did not answer is absent from its batch. A batch whose worker was lost
        is asked again. Raises `EngineError` when an engine raised, when a worker has loaded another
        model than was identified, or when the cluster has no room left, after the batches that had
        come back were yielded.
        """
        if self._failure is not None:
            raise EngineError(self._failure)
        while self._out:  # left behind by a caller that stopped asking half-way
            self._next()
        waiting = iter(batches)
        for _ in range(self._start.ray.workers * IN_FLIGHT):
            self._feed(waiting)
        while self._out:
            completions = self._next()
            self._feed(waiting)
            yield completions

    def still_the_same(self) -> None:
        """Nothing to do: a worker says what it loaded before it answers."""

    def _feed(self, waiting: Iterator[list[Request]]) -> None:
        """Hand over the next batch, if there is one and nothing has failed."""
        batch = next(waiting, None) if self._failure is None else None
        if batch is not None and self._driver is not None:
            number = next(self._numbers)
            self._out.add(number)
            self._driver.send(Batch(number, batch))

    def _next(self) -> list[Completion]:
        """Return the next batch that comes back; after a failure only those that already are."""
        while True:
            try:
                _, event = self._events.get(block=self._failure is None)
            except Empty:
                raise EngineError(str(self._failure)) from None
            if isinstance(event, Answered):
                self._out.remove(event.number)
                return event.completions
            if isinstance(event, Lost):
                LOG.warning("model %r: %s", self._name, event.text)
            elif isinstance(event, Failed) and self._failure is None:
                self._failure = f"model {self._name!r} on the Ray cluster: {event.reason}"


def _shipped(model: Model, folder: Path) -> Model:
    """Give a model's files in full: what is relative here would be another place on a node.

    What does not lie here stays as it is: an organism, or an id of the hub that each node resolves.
    """
    own = {"path": model.path, "adapter": model.adapter}
    places = {
        key: folder / Path(name).expanduser() for key, name in own.items() if name is not None
    }
    update = {key: str(place.resolve()) for key, place in places.items() if place.exists()}
    return model.model_copy(update=update)
