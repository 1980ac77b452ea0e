"""The parent's side: one child process a device, so that a crash breaks a model and not the run.

A child is a fresh interpreter, not a multiprocessing spawn: the caller's `__main__` is not run
again, its environment is set before torch is imported, and it ends when the pipe to its parent
closes, however the parent ended.
"""

from __future__ import annotations

import os
import pickle
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import suppress
from itertools import count
from pathlib import Path
from queue import Empty, SimpleQueue
from threading import Thread
from types import TracebackType
from typing import IO

from safemlrm.config import Model
from safemlrm.engines.devices import devices_of
from safemlrm.engines.folder import pinned
from safemlrm.engines.messages import HELLO, Answered, Batch, Failed, Loaded, Start
from safemlrm.engines.placing import Lost, OnCluster
from safemlrm.errors import EngineError
from safemlrm.types import Completion, Request

BOOT = "from safemlrm.engines.child import main; main()"
QUIET = {
    "OMP_WAIT_POLICY": "PASSIVE",
    "TOKENIZERS_PARALLELISM": "false",
    "HF_HUB_DISABLE_PROGRESS_BARS": "1",
    "TRANSFORMERS_VERBOSITY": "error",
    "TQDM_DISABLE": "1",
    "RAY_USAGE_STATS_ENABLED": "0",
}
# Read by the C library: what a step frees the next one takes again, instead of fresh pages from the
# system: on a CPU a hundred page faults in 400 responses instead of fifty thousand.
KEEP_MEMORY = {"MALLOC_MMAP_THRESHOLD_": str(2**25), "MALLOC_TRIM_THRESHOLD_": str(2**30)}
IN_FLIGHT = 2
GRACE_SECONDS = 5.0
TAIL_BYTES = 4000
UNHEARD = "its answers could not be read any more, so its process was killed"


class Child:
    """A process that serves one device, and the thread that hears from it."""

    def __init__(
        self,
        start: Start | OnCluster,
        threads: int,
        events: SimpleQueue[Event],
        boot: str | None = None,
    ) -> None:
        """Start the process and tell it what to load; it loads while the caller goes on.

        `boot` is the program of the process, that of a device by default.
        """
        self.device = start.device
        self._log: IO[bytes] = tempfile.TemporaryFile()  # noqa: SIM115  # closed by stop()
        self._process = subprocess.Popen(
            [sys.executable, "-P", "-c", boot or BOOT],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._log,
            env=environment_of(threads),
        )
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._stdin, self._stdout = self._process.stdin, self._process.stdout
        self._events = events
        self._thread = Thread(target=self._listen, daemon=True)
        self._thread.start()
        self.send(start)

    def send(self, message: Start | OnCluster | Batch) -> None:
        """Write a message; a child that is gone is reported by the thread that listens."""
        with suppress(OSError):
            pickle.dump(message, self._stdin)
            self._stdin.flush()

    def stop(self) -> None:
        """Close the pipe, which ends the child at once; kill it if it does not listen."""
        with suppress(OSError):
            self._stdin.close()
        try:
            self._process.wait(GRACE_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._thread.join()
        self._log.close()

    def _listen(self) -> None:
        """Post what the child says and then, whatever happened, how it ended.

        A child that is killed while it answers leaves a torn pickle, which can raise anything.
        """
        reason = UNHEARD
        try:
            self._hear()
            reason = self._ending()
        finally:
            self._events.put((self, Failed(reason)))

    def _hear(self) -> None:
        with suppress(Exception), self._stdout:
            for line in self._stdout:
                if line.endswith(HELLO):
                    break
            while True:
                self._events.put((self, pickle.load(self._stdout)))

    def _ending(self) -> str:
        """Say how the child ended; one that lives on although nothing can be read is killed."""
        try:
            code = self._process.wait(GRACE_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
            return UNHEARD
        return _epitaph(code, self._last_words())

    def _last_words(self) -> str:
        """Return the last line a dying child wrote to stderr."""
        self._log.seek(max(0, self._log.seek(0, os.SEEK_END) - TAIL_BYTES))
        lines = self._log.read().decode("utf-8", "replace").split("\n")
        return next((line.strip() for line in reversed(lines) if line.strip()), "")


Event = tuple[Child, Answered | Failed | Loaded | Lost]


class Children:
    """The children of one model, as a context manager: they are stopped when it is left."""

    def __init__(self, name: str, model: Model, folder: Path, digest: str | None = None) -> None:
        """Remember what to load; `folder` is that of safety.toml.

        `digest` is that of the identity its answers are filed under: a child whose files turn out
        to be others, since they were replaced after they were identified, is not listened to.
        """
        self._name = name
        self._model = model
        self._folder = folder
        self._digest = digest
        self._children: list[Child] = []
        self._events: SimpleQueue[Event] = SimpleQueue()
        self._numbers = count()
        self._owners: dict[int, Child] = {}
        self._failure: str | None = None

    def __enter__(self) -> Children:
        """Start a child a device; they load in parallel while this returns."""
        model = self._model
        if model.engine in ("transformers", "vllm"):  # what was identified is what is loaded
            model = pinned(model, self._folder)
        devices = devices_of(model)
        identify = self._digest is not None
        threads = max(1, _cores() // len(devices))
        try:
            for device in devices:
                start = Start(self._name, model, self._folder, device, identify)
                self._children.append(Child(start, threads, self._events))
        except OSError as error:
            self.close()
            raise EngineError(f"{self._name}: cannot start a process: {error}") from None
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Stop every child, whatever happened."""
        self.close()

    def close(self) -> None:
        """Stop every child; nothing happens the second time."""
        while self._children:
            self._children.pop().stop()

    def ask(self, batches: Iterable[list[Request]]) -> Iterator[list[Completion]]:
        """Yield each batch's completions as it returns, in any order.

        A request the engine did not answer is absent from its batch. Raises `EngineError` when a
        child died or its engine raised, after the batches that had come back were yielded, or when
        a child has loaded files that are not those of `digest`; no answer of that child is yielded.
        """
        if self._failure is not None:
            raise EngineError(self._failure)
        while self._owners:  # left behind by a caller that stopped asking half-way
            self._next()
        waiting = iter(batches)
        for child in self._children * IN_FLIGHT:
            self._feed(child, waiting)
        while self._owners:
            child, completions = self._next()
            self._feed(child, waiting)
            yield completions

    def still_the_same(self) -> None:
        """Nothing to do: a child says what it loaded before it answers."""

    def _feed(self, child: Child, waiting: Iterator[list[Request]]) -> None:
        """Send a child the next batch, if there is one and nothing has failed."""
        batch = next(waiting, None) if self._failure is None else None
        if batch is not None:
            number = next(self._numbers)
            self._owners[number] = child
            child.send(Batch(number, batch))

    def _next(self) -> tuple[Child, list[Completion]]:
        """Return the next batch that comes back; after a failure only those that already are."""
        while True:
            try:
                child, event = self._events.get(block=self._failure is None)
            except Empty:
                raise EngineError(str(self._failure)) from None
            if isinstance(event, Answered):
                del self._owners[event.number]
                return child, event.completions
            if isinstance(event, Loaded):
                self._check(event.digest)
            elif isinstance(event, Failed) and self._failure is None:
                self._failure = f"model {self._name!r} on {child.device}: {event.reason}"

    def _check(self, digest: str) -> None:
        """Compare what a child has loaded with what was identified; it says so before it answers."""
        if digest != self._digest:
            self._failure = (
                f"model {self._name!r} changed while the run was going on: its files are not the "
                "ones that were identified; run again"
            )
            raise EngineError(self._failure)


def environment_of(threads: int) -> dict[str, str]:
    """Return the child's environment: quiet, a share of the cores, and this process's import path."""
    path = os.pathsep.join(os.path.abspath(entry) for entry in sys.path)
    own = {**QUIET, **KEEP_MEMORY, "OMP_NUM_THREADS": str(threads), **os.environ}
    return {**own, "PYTHONPATH": path, "PYTHONWARNINGS": "ignore", "PYTHONUNBUFFERED": "1"}


def _cores() -> int:
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _epitaph(code: int, words: str) -> str:
    """Say how a child ended: by which signal or with which exit code, and what it said last."""
    if code >= 0:
        return f"its process ended with exit code {code}{': ' if words else ''}{words}"
    try:
        name = signal.Signals(-code).name
    except ValueError:
        name = f"signal {-code}"
    hint = " (often the system, out of memory)" if name == "SIGKILL" else ""
    return f"its process was killed by {name}{hint}"
