"""How long a server that does not answer is asked again, and what it says about that itself (pure)."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Literal

from safemlrm.errors import EngineError

Kind = Literal["busy", "gone", "late", "broken"]


class Setback(Exception):
    """An attempt that may be repeated; `wait` is what the server asked for, in seconds."""

    def __init__(self, kind: Kind, reason: str, wait: float | None = None) -> None:
        super().__init__(reason)
        self.kind: Kind = kind
        self.reason = reason
        self.wait = wait


@dataclass(frozen=True, slots=True)
class Patience:
    """How often one request is tried, by what went wrong, and how long is waited in between.

    A server that is busy is left the time to recover; one that is silent until the timeout is not
    worth many of them. Waits double from `first` up to `most` seconds, and are never shorter than the
    server asks for.
    """

    tries: int = 6
    busy: int = 20
    late: int = 2
    first: float = 0.5
    most: float = 30.0
    longest: float = 600.0

    def limit(self, kind: Kind) -> int:
        """Return how many attempts may end in this way."""
        return {"busy": self.busy, "late": self.late}.get(kind, self.tries)

    def wait(self, setback: Setback, number: int, spread: float) -> float:
        """Return the seconds before the next attempt; `number` counts from 1, `spread` is in [0, 1).

        Raises `EngineError` where the server asks for more than a run should wait.
        """
        own = float(min(self.first * 2 ** (number - 1), self.most) * (0.75 + spread / 2))
        if setback.wait is None:
            return own
        if setback.wait > self.longest:
            raise EngineError(
                f"{setback.reason}, and the server asks to wait {setback.wait:.0f} s; run again "
                "then: what was answered is kept"
            )
        return max(own, setback.wait)


def retry_after(value: str | None, now: datetime | None = None) -> float | None:
    """Read a Retry-After header: seconds, or a date of HTTP (RFC 9110, 10.2.3); None if it is neither."""
    if value is None:
        return None
    try:
        seconds = float(value)
    except ValueError:
        pass
    else:
        return max(0.0, seconds) if seconds == seconds else None
    try:
        then = parsedate_to_datetime(value)
    except (ValueError, OverflowError):
        return None
    if then.tzinfo is None:
        then = then.replace(tzinfo=UTC)
    return max(0.0, (then - (now or datetime.now(UTC))).total_seconds())
