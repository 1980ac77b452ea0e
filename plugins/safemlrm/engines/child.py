"""The child's side: reads batches from stdin, answers on what was stdout, ends with its parent."""

from __future__ import annotations

import faulthandler
import gc
import os
import pickle
import signal
import sys
import traceback
from queue import SimpleQueue
from threading import Thread
from typing import BinaryIO

from safemlrm.engines import build_engine
from safemlrm.engines.identity import identity_of
from safemlrm.engines.messages import HELLO, Answered, Batch, Failed, Loaded, Start
from safemlrm.errors import SafemlrmError

LONGEST_REASON = 500


def main() -> None:
    """Serve one engine until the parent closes the pipe, or dies, which closes it too."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    faulthandler.enable()
    inbox, outbox = take_pipes()
    batches: SimpleQueue[Batch] = SimpleQueue()
    try:
        start: Start = pickle.load(inbox)
        Thread(target=receive, args=(inbox, batches), daemon=True).start()
        # What is imported and loaded stays: looking through it for garbage takes a sixth of a start.
        gc.disable()
        engine = build_engine(start.name, start.model, start.folder, start.device)
        gc.freeze()
        gc.enable()
        if start.identify:
            identity = identity_of(start.name, start.model, start.folder)
            send(outbox, Loaded(identity.digest))
        while True:
            batch = batches.get()
            send(outbox, Answered(batch.number, list(engine.generate(batch.requests))))
    except Exception as error:  # whatever a library raises reaches the user as one line
        send(outbox, Failed(reason_of(error)))


def take_pipes() -> tuple[BinaryIO, BinaryIO]:
    """Keep stdin and stdout for the parent: a library that prints or asks gets stderr and nothing."""
    inbox, outbox = os.fdopen(os.dup(0), "rb"), os.fdopen(os.dup(1), "wb")
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.dup2(2, 1)
    outbox.write(HELLO)
    outbox.flush()
    return inbox, outbox


def receive(inbox: BinaryIO, batches: SimpleQueue[Batch]) -> None:
    """Take batches as they come, so that the next one waits here; end the process with the pipe."""
    code = 1
    try:
        while True:
            batches.put(pickle.load(inbox))
    except (EOFError, OSError):
        code = 0
    except Exception:  # a torn batch, or one of classes that are not these: the last words say it
        traceback.print_exc(file=sys.stderr)
        sys.stderr.flush()
    finally:
        os._exit(code)


def send(outbox: BinaryIO, message: Answered | Failed | Loaded) -> None:
    pickle.dump(message, outbox)
    outbox.flush()


def reason_of(error: Exception) -> str:
    """Return one line; our own errors already say what is wrong."""
    if isinstance(error, SafemlrmError):
        return str(error)
    traceback.print_exc(file=sys.stderr)
    lines = str(error).strip().splitlines() or ["no reason given"]
    return f"{type(error).__name__}: {lines[0]}"[:LONGEST_REASON]
