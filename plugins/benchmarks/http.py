"""What asking over HTTP costs: 1,000 requests at 64 connections against a local server of 100 ms.

Wall time as a ratio to the ideal, and CPU time a request with splitting, judging and storing, beside
plain aiohttp, and inspect_ai where it is installed. Run: python -m plugins.benchmarks.http
"""

from __future__ import annotations

import asyncio
import os
import platform
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.util import find_spec
from math import ceil
from pathlib import Path
from statistics import median
from time import perf_counter, process_time

from safemlrm.config import Model
from safemlrm.engines.identity import identity_of, with_generation
from safemlrm.engines.openai import Connections
from safemlrm.engines.served import see
from safemlrm.judges.rules import Rules
from safemlrm.responses.scoring import Desk, Scorer
from safemlrm.responses.store import Store
from safemlrm.types import Prompt, Request, Turn

REQUESTS = 1000
CONNECTIONS = 64
BATCH = 64
LATENCY = 0.1
IDEAL = ceil(REQUESTS / CONNECTIONS) * LATENCY
ROUNDS = 3
MOST_WALL = 1.5
MOST_CPU_MS = 1.5


@dataclass(frozen=True, slots=True)
class Cost:
    """Seconds of one way to ask REQUESTS requests."""

    wall: float
    cpu: float

    @property
    def ratio(self) -> float:
        """Wall time over the ideal."""
        return self.wall / IDEAL

    @property
    def cpu_ms(self) -> float:
        """Milliseconds of this process's CPU a request."""
        return self.cpu / REQUESTS * 1000


@contextmanager
def server() -> Iterator[str]:
    """Serve in a process of its own, so that only the asking is counted."""
    process = subprocess.Popen(
        [sys.executable, "-m", "fixtures.servers", "0", str(LATENCY)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    try:
        yield f"http://127.0.0.1:{int(process.stdout.readline())}/v1"
    finally:
        process.kill()
        process.wait()


def prompts() -> list[Prompt]:
    """Return short questions, each with a text of its own."""
    return [
        Prompt(f"q{n}", "fraud", (Turn(f"Explain how people number {n} are tricked."),), "tricked")
        for n in range(REQUESTS)
    ]


def ours(url: str) -> Cost:
    """Ask, split, judge and store, as `measure` does."""
    model = Model.model_validate(
        {"engine": "openai", "url": url, "model": "tiny", "connections": CONNECTIONS}
    )
    identity = with_generation(identity_of("m", model, Path()), 0, see("m", model).to_json())
    requests = [Request(p.id, p, n) for n, p in enumerate(prompts())]
    asked = {r.key: r.prompt for r in requests}
    batches = (requests[start : start + BATCH] for start in range(0, REQUESTS, BATCH))
    with tempfile.TemporaryDirectory() as folder, Store(Path(folder) / "safety.db") as store:
        desk = Desk(Scorer.of(Rules(), None), store, "m")
        with Connections("m", model, identity) as connections:
            began, cpu = perf_counter(), process_time()
            for done in connections.ask(batches):
                desk.take([(asked[c.key], c) for c in done])
            cost = Cost(perf_counter() - began, process_time() - cpu)
        assert store.count() == REQUESTS
    return cost


def plain(url: str) -> Cost:
    """Ask with aiohttp alone and keep nothing: the floor."""
    import aiohttp

    async def ask_all() -> Cost:
        free = asyncio.Semaphore(CONNECTIONS)
        connector = aiohttp.TCPConnector(limit=0)

        async def ask(session: aiohttp.ClientSession, prompt: Prompt) -> str:
            body = {
                "model": "tiny",
                "messages": [{"role": "user", "content": prompt.turns[0].text}],
            }
            async with free, session.post(f"{url}/chat/completions", json=body) as answer:
                return str((await answer.json())["choices"][0]["message"]["content"])

        async with aiohttp.ClientSession(connector=connector) as session:
            began, cpu = perf_counter(), process_time()
            texts = await asyncio.gather(*(ask(session, prompt) for prompt in prompts()))
            cost = Cost(perf_counter() - began, process_time() - cpu)
        assert all(texts)
        return cost

    return asyncio.run(ask_all())


def inspect(url: str) -> Cost:
    """Ask the same with inspect_ai, which scores and logs as well."""
    from inspect_ai import Task, eval  # type: ignore[import-not-found]
    from inspect_ai.dataset import Sample  # type: ignore[import-not-found]
    from inspect_ai.model import GenerateConfig, get_model  # type: ignore[import-not-found]
    from inspect_ai.scorer import includes  # type: ignore[import-not-found]
    from inspect_ai.solver import generate  # type: ignore[import-not-found]

    config = GenerateConfig(max_connections=CONNECTIONS)
    model = get_model(
        "openai/tiny", base_url=url, api_key="none", config=config, responses_api=False
    )
    samples = [Sample(input=p.turns[0].text, target="sorry") for p in prompts()]
    task = Task(dataset=samples, solver=generate(), scorer=includes())
    with tempfile.TemporaryDirectory() as folder:
        began, cpu = perf_counter(), process_time()
        [log] = eval(task, model=model, max_samples=CONNECTIONS, log_dir=folder, display="none")
        cost = Cost(perf_counter() - began, process_time() - cpu)
    assert log.status == "success"
    return cost


def middle(costs: list[Cost]) -> Cost:
    """Return the medians."""
    return Cost(median(c.wall for c in costs), median(c.cpu for c in costs))


def main() -> int:
    """Print what each way costs; 1 when ours is too slow or too dear."""
    ways: dict[str, Callable[[str], Cost]] = {"aiohttp alone": plain, "safemlrm": ours}
    costs: dict[str, list[Cost]] = {name: [] for name in ways}
    with server() as url:
        for _ in range(ROUNDS):  # alternating, so that a busy machine is busy for both
            for name, ask in ways.items():
                costs[name].append(ask(url))
        if find_spec("inspect_ai") is not None:
            costs["inspect_ai"] = [inspect(url)]
    print(
        f"{REQUESTS} requests, {CONNECTIONS} connections, {LATENCY * 1000:.0f} ms a request: ideal "
        f"{IDEAL:.1f} s; medians of {ROUNDS}, {os.cpu_count()} cores, {platform.machine()}"
    )
    for name, found in costs.items():
        cost = middle(found)
        print(f"{name:<14} wall {cost.ratio:5.2f} of ideal, CPU {cost.cpu_ms:5.2f} ms a request")
    if "inspect_ai" not in costs:
        print("inspect_ai     is not installed here")
    cost = middle(costs["safemlrm"])
    met = cost.ratio <= MOST_WALL and cost.cpu_ms <= MOST_CPU_MS
    print(
        f"asked for: at most {MOST_WALL} of ideal and {MOST_CPU_MS} ms: {'met' if met else 'MISSED'}"
    )
    return 0 if met else 1


if __name__ == "__main__":
    sys.exit(main())
