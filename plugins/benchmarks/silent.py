"""Progress for benchmarks: they print results."""

from __future__ import annotations


class Silent:
    """A benchmark prints its result, not its progress."""

    def wait(self) -> None:
        """Say nothing."""

    def start(self, model: str, cells: int, prompts: int) -> None:
        """Say nothing."""

    def advance(self, asked: int, stored: int) -> None:
        """Say nothing."""

    def cut(self, reason: str) -> None:
        """A budget has no place in a benchmark."""
        raise SystemExit(reason)

    def broken(self, reason: str) -> None:
        """A broken model ends the benchmark."""
        raise SystemExit(reason)

    def finish(self) -> None:
        """Say nothing."""
