"""The budget of a run: batches are handed out until it is spent."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from time import monotonic

from safemlrm.config import Budget
from safemlrm.types import Completion, Request


class Spent(Exception):
    """There is no room in the budget for what a judge would be asked; the text says which part."""


class Purse:
    """Counts what a run spends; responses from the store cost nothing."""

    def __init__(self, budget: Budget) -> None:
        self._budget = budget
        self._began = monotonic()
        self.requests = self.tokens = self.judge_calls = self._kept = 0
        self.withheld = False
        """Whether something was not handed out because the budget was spent."""

    def judge(self, calls: int) -> None:
        """Account for calls of a judge; raises `Spent` when there is no room or no time for them."""
        limit = self._budget.judge_calls
        if limit is not None and self.judge_calls + self._kept + calls > limit:
            raise Spent(f"[budget] judge_calls = {limit}")
        if self._late:
            raise Spent(self._late)
        self.judge_calls += calls

    def keep(self, calls: int) -> None:
        """Set calls of a judge aside for the end; raises `Spent` when there is no room for them."""
        limit = self._budget.judge_calls
        if limit is not None and self.judge_calls + calls > limit:
            raise Spent(f"[budget] judge_calls = {limit}")
        self._kept = calls

    def settle(self, calls: int) -> None:
        """Account for calls at the end, for which some were set aside; they are not refused."""
        self._kept = 0
        self.judge_calls += calls

    @property
    def empty(self) -> str:
        """Which part of the budget is spent, in words; empty while there is some left."""
        budget = self._budget
        if budget.requests is not None and self.requests >= budget.requests:
            return f"[budget] requests = {budget.requests}"
        if budget.tokens is not None and self.tokens >= budget.tokens:
            return f"[budget] tokens = {budget.tokens}"
        return self._late

    @property
    def _late(self) -> str:
        seconds = self._budget.seconds
        if seconds is not None and monotonic() - self._began >= seconds:
            return f"[budget] seconds = {seconds:g}"
        return ""

    def limit(self, batches: Iterator[list[Request]]) -> Iterator[list[Request]]:
        """Hand out batches while the budget lasts, the last one cut to the requests that are left."""
        for batch in batches:
            self.withheld = bool(self.empty)
            if self.withheld:
                return
            left = self._budget.requests
            part = batch if left is None else batch[: left - self.requests]
            self.withheld = len(part) < len(batch)
            self.requests += len(part)
            yield part

    def pay(self, completions: Sequence[Completion]) -> None:
        """Account for the tokens of a batch that came back."""
        self.tokens += sum(c.prompt_tokens + c.completion_tokens for c in completions)
