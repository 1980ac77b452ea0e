"""Any server that speaks the chat API of OpenAI: many requests at once, over one or more addresses."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Iterator
from contextlib import suppress
from pathlib import Path
from queue import Empty, SimpleQueue
from types import TracebackType

from safemlrm.config import Model
from safemlrm.engines.background import Background
from safemlrm.engines.chat import Reply, body_of
from safemlrm.engines.endpoint import Endpoints
from safemlrm.engines.identity import decoding_of
from safemlrm.engines.patience import Patience
from safemlrm.engines.served import GREETING, Served, admit, check, said_by
from safemlrm.errors import EngineError, ModelChanged
from safemlrm.types import Completion, Identity, Request

Event = Reply | EngineError | None
CHUNK = 64
"""So many completions are handed over, and committed, at once at most."""
GRACE_SECONDS = 30.0
"""How long answers on their way are waited for once the model cannot be asked any more."""
CHANGED = (
    "the model behind the address changed while the run was going on ({}); nothing that it answered in "
    "this run is used; run again to measure the model that is there now"
)


class Connections:
    """Asks one model over HTTP, `connections` requests at a time, as a context manager."""

    def __init__(
        self, name: str, model: Model, identity: Identity, patience: Patience | None = None
    ) -> None:
        """Remember whom to ask; `identity` says what its answers are filed under."""
        self._name = name
        self._model = model
        self._decoding = decoding_of(model, Path())  # it has no folder that would say more
        self._known = Served.from_json(identity.parts["served"])
        self._endpoints = Endpoints(name, model, patience)
        self._events: SimpleQueue[Event] = SimpleQueue()
        self._background: Background | None = None
        self._free: asyncio.Semaphore | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self._failure: EngineError | None = None
        self._waiting = 0

    def __enter__(self) -> Connections:
        """Start the thread that talks to the servers, of which some may not be there.

        Raises `ModelChanged` when one of several addresses serves another model.
        """
        self._background = Background()
        try:
            found = self._background.run(self._open())
            if found:
                raise self._changed(found)
        except BaseException:
            self.__exit__(None, None, None)
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Drop what is on its way and close every connection, whatever happened."""
        background, self._background = self._background, None
        if background is not None:
            try:
                background.run(self._close())
            finally:
                background.close()

    def ask(self, batches: Iterable[list[Request]]) -> Iterator[list[Completion]]:
        """Yield completions as they come; a batch is taken as soon as a connection would be idle.

        Raises `EngineError` after what had come back was yielded, and `ModelChanged` at once when a
        response says that another model gave it.
        """
        waiting = iter(batches)
        try:
            self._feed(waiting)
            while self._waiting:
                completions = self._arrived()
                self._feed(waiting)
                if completions:
                    yield completions
        finally:
            self._drop()
        if self._failure is not None:
            raise self._failure

    def still_the_same(self) -> None:
        """Ask the canaries again and raise `ModelChanged` when they are answered in another way."""
        assert self._background is not None
        found = self._background.run(check(self._endpoints, self._model, self._known))
        if found:
            raise self._changed(found)

    # -- the caller's side

    def _feed(self, waiting: Iterator[list[Request]]) -> None:
        """Hand over batches until every connection is busy, unless something has failed."""
        assert self._background is not None
        while self._failure is None and self._waiting < self._model.connections:
            batch = next(waiting, None)
            if batch is None:
                return
            self._waiting += len(batch)
            self._background.loop.call_soon_threadsafe(self._start, batch)

    def _arrived(self) -> list[Completion]:
        """Wait for an answer and take what else has come; after a failure no longer than GRACE_SECONDS."""
        events: list[Event] = []
        try:
            events.append(self._events.get(timeout=GRACE_SECONDS if self._failure else None))
            while len(events) < CHUNK:
                events.append(self._events.get_nowait())
        except Empty:
            if not events:
                self._waiting = 0  # what is still on its way is dropped
        return self._accept(events)

    def _accept(self, events: list[Event]) -> list[Completion]:
        """Return the completions of the model that was identified; remember the first failure."""
        self._waiting -= len(events)
        completions = []
        for event in events:
            if isinstance(event, EngineError):
                self._failure = self._failure or event
            elif event is not None and said_by(event) <= self._known.reported:
                completions.append(event.completion)
            elif event is not None:
                self._failure = self._changed("a response reports another model or fingerprint")
                self._waiting = 0
                break
        return completions

    def _drop(self) -> None:
        """Cancel what is on its way: left by a caller that stopped asking, or by a failure."""
        if self._background is not None:
            self._background.run(self._cancel())
        self._waiting = 0
        with suppress(Empty):
            while True:
                self._events.get_nowait()

    def _changed(self, how: str) -> ModelChanged:
        return ModelChanged(f"[models.{self._name}] {CHANGED.format(how)}", self._name)

    # -- inside the thread

    async def _open(self) -> str:
        self._free = asyncio.Semaphore(self._model.connections)
        await self._endpoints.__aenter__()
        patience, self._endpoints.patience = self._endpoints.patience, GREETING
        try:
            return await admit(self._endpoints, self._model, self._known)
        finally:
            self._endpoints.patience = patience

    async def _close(self) -> None:
        await self._cancel()
        await self._endpoints.__aexit__(None, None, None)

    async def _cancel(self) -> None:
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def _start(self, batch: list[Request]) -> None:
        for request in batch:
            task = asyncio.get_running_loop().create_task(self._one(request))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def _one(self, request: Request) -> None:
        """Post what became of a request, or None where it was not asked since another one failed."""
        assert self._free is not None
        event: Event = None
        try:
            async with self._free:
                if self._failure is None:
                    body = body_of(self._model, self._decoding, request)
                    event = await self._endpoints.chat(request, body)
        except EngineError as error:
            event = EngineError(str(error))  # without the frames it came from: they hold keys
        except Exception as error:  # a bug of ours must not leave the caller waiting for ever
            event = EngineError(f"[models.{self._name}] {self._endpoints.words_of(error)}")
        self._events.put(event)
