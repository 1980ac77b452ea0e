"""An event loop in a thread of its own, so that it works under pytest, in a notebook and in a script."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from threading import Thread
from traceback import extract_tb
from typing import TypeVar

from safemlrm.errors import EngineError

T = TypeVar("T")


class Background:
    """Runs coroutines beside the caller; `close` cancels what still runs and ends the thread."""

    def __init__(self) -> None:
        self.loop = asyncio.new_event_loop()
        self._thread = Thread(target=self.loop.run_forever, name="safemlrm-http", daemon=True)
        self._thread.start()

    def run(self, work: Coroutine[object, object, T]) -> T:
        """Wait for a coroutine; Ctrl-C ends the wait and cancels it.

        Errors are raised anew: frames of the thread hold keys among their variables. Of one that nobody
        foresaw only its kind and place are told, since its text may hold one, too.
        """
        future = asyncio.run_coroutine_threadsafe(work, self.loop)
        reason: EngineError
        try:
            return future.result()
        except EngineError as error:
            reason = type(error)(str(error))
        # Whatever it is, its text and its frames may hold a key, so it does not leave this thread.
        except Exception as error:
            where = extract_tb(error.__traceback__)[-1]
            reason = EngineError(
                f"{type(error).__name__} in {where.name} ({where.filename}, line {where.lineno}) while a "
                "server was asked; this is a defect, please report it"
            )
        finally:
            future.cancel()
        raise reason

    def close(self) -> None:
        """Cancel what still runs, then end the thread; nothing happens the second time."""
        if self.loop.is_closed():
            return
        asyncio.run_coroutine_threadsafe(_cancel_all(), self.loop).result()
        self.loop.call_soon_threadsafe(self.loop.stop)
        self._thread.join()
        self.loop.close()


async def _cancel_all() -> None:
    tasks = asyncio.all_tasks() - {asyncio.current_task()}
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
