"""Connections to real servers on this machine: many at once, over faults, and what a run makes of it."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sqlite3
import threading
from collections.abc import Iterable, Iterator
from pathlib import Path
from time import sleep

import pytest
from aiohttp import web

from fixtures.projects import GATE, Project, said
from fixtures.servers import Body, Fault, Server, is_canary, message, share, text_of
from safemlrm.config import Model
from safemlrm.engines.background import Background
from safemlrm.engines.identity import identity_of, with_generation
from safemlrm.engines.openai import Connections
from safemlrm.engines.patience import Patience
from safemlrm.engines.scripted import REFUSAL, UNSAFE
from safemlrm.engines.served import see
from safemlrm.errors import EngineError, ModelChanged
from safemlrm.types import Completion, Prompt, Request, Turn

SOON = Patience(first=0.01, most=0.02)
HERE = Path()


def model_of(*servers: Server, **keys: object) -> Model:
    """Return the table of a model that the servers serve."""
    urls = [server.url for server in servers]
    return Model.model_validate(
        {"engine": "openai", "url": urls, "model": "tiny", "timeout": 5.0, **keys}
    )


def connections(*servers: Server, patience: Patience = SOON, **keys: object) -> Connections:
    """Return connections to servers whose model is recognised first."""
    model = model_of(*servers, **keys)
    identity = identity_of("m", model, HERE)
    known = see("m", model, patience).to_json()
    return Connections("m", model, with_generation(identity, 0, known), patience)


def requests(number: int, start: int = 0) -> list[Request]:
    """Return requests with texts of their own."""
    return [
        Request(f"key-{n}", Prompt(f"p{n}", "fraud", (Turn(f"question {n}"),), ""), n)
        for n in range(start, start + number)
    ]


def texts(chunks: Iterable[list[Completion]]) -> dict[str, str]:
    """Return what came back by key; nothing comes back twice."""
    found = [(c.key, c.text) for chunk in chunks for c in chunk]
    assert len(dict(found)) == len(found)
    return dict(found)


def gathered(
    chunks: Iterable[list[Completion]], found: list[Completion]
) -> Iterator[list[Completion]]:
    """Keep what came back before a failure."""
    for chunk in chunks:
        found += chunk
        yield chunk


class Picky(Server):
    """A server that knows only the newer name of the token limit, as some hosted models do."""

    async def _answer(self, request: web.Request, body: Body) -> web.StreamResponse:
        if "max_tokens" not in body:
            return await super()._answer(request, body)
        self.refused.append(body)
        await asyncio.sleep(0.01)  # others are on their way by then
        said = "'max_tokens' is not supported with this model. Use 'max_completion_tokens' instead."
        return web.json_response({"error": {"message": said}}, status=400)


class Narrow(Server):
    """A server that answers one prompt at a time, and is busy for everybody else."""

    async def _answer(self, request: web.Request, body: Body) -> web.StreamResponse:
        if self._at_once == 1 or is_canary(body):
            await asyncio.sleep(0.002)
            return await super()._answer(request, body)
        self.refused.append(body)
        return web.Response(status=429, headers={"Retry-After": "0.01"})


def test_every_request_is_answered_once_over_two_addresses_with_so_many_at_once() -> None:
    with Server(latency=0.01) as one, Server(latency=0.01) as two:
        with connections(one, two, connections=8) as asks:
            found = texts(asks.ask(iter([requests(30), requests(30, 30)])))
        assert sorted(found) == sorted(f"key-{n}" for n in range(60))
        assert sorted(one.texts + two.texts) == sorted(f"question {n}" for n in range(60))
        assert min(len(one.prompts), len(two.prompts)) >= 20
        assert max(one.most_at_once, two.most_at_once) <= 12  # canaries come all at once


def test_batches_are_taken_as_connections_become_free() -> None:
    taken: list[int] = []

    def batches() -> Iterator[list[Request]]:
        for start in range(0, 40, 4):
            taken.append(start)
            yield requests(4, start)

    with Server() as server, connections(server, connections=4) as asks:
        answers = asks.ask(batches())
        next(answers)
        assert len(taken) < 10
        assert len(texts(answers)) + 4 >= 36
        assert len(taken) == 10


@pytest.mark.parametrize(
    "fault",
    [
        Fault(500, "oops"),
        Fault(429, "{}", {"Retry-After": "0"}),
        Fault(503, "", {"Retry-After": "Mon, 01 Jan 2024 00:00:00 GMT"}),
        Fault(drop=True),
        Fault(200, "<html>"),
        Fault(200, '{"choices": []}'),
        Fault(200, '{"choices": [{"finish_reason": "abort", "message": {"content": "half"}}]}'),
    ],
    ids=["500", "429", "503 with a date", "dropped", "no JSON", "no choices", "broken off"],
)
def test_a_fault_costs_an_attempt_and_no_answer(
    fault: Fault, caplog: pytest.LogCaptureFixture
) -> None:
    with Server() as server, connections(server) as asks:
        server.faults.extend([fault] * 3)
        caplog.set_level("INFO", "safemlrm")
        assert len(texts(asks.ask(iter([requests(10)])))) == 10
        assert len(server.prompts) == 10
    assert sum("asking again" in r.getMessage() for r in caplog.records) == 3


def test_a_server_that_hangs_is_given_up_after_two_timeouts() -> None:
    with Server() as server, connections(server, timeout=0.2) as asks:
        server.always = Fault(hang=True)
        with pytest.raises(
            EngineError, match=r"no answer within 0\.2 s, 2 times; see to the server"
        ):
            texts(asks.ask(iter([requests(1)])))


def test_an_address_that_dies_leaves_its_requests_to_the_other() -> None:
    with Server() as one, Server() as two, connections(one, two, connections=4) as asks:
        one.stop()
        assert len(texts(asks.ask(iter([requests(20)])))) == 20
        assert len(two.prompts) == 20
        asks.still_the_same()  # by what can still be asked


def test_what_came_back_before_a_failure_is_yielded_and_then_the_failure_raised() -> None:
    with Server() as server, connections(server, connections=1) as asks:
        found: list[Completion] = []
        server.faults.extend([])
        answers = asks.ask(iter([requests(5), requests(5, 5)]))
        found = next(answers)
        server.stop()
        again = r"127\.0\.0\.1:\d+/v1: .*, 6 times; see to the server"
        with pytest.raises(EngineError, match=again):
            texts(gathered(answers, found))
        assert {text_of(b) for b in server.prompts} >= {
            f"question {c.key.removeprefix('key-')}" for c in found
        }


def test_a_caller_that_stops_half_way_leaves_nothing_behind() -> None:
    with Server(latency=0.05) as server, connections(server, connections=2) as asks:
        answers = asks.ask(iter([requests(20)]))
        first = next(answers)
        answers.close()  # type: ignore[attr-defined]  # a generator
        rest = texts(asks.ask(iter([requests(3, 100)])))
        assert sorted(rest) == ["key-100", "key-101", "key-102"]
        assert first
        assert len(server.prompts) < 20


def test_a_refused_request_stops_the_model_with_one_clear_line() -> None:
    with Server() as server, connections(server) as asks:
        server.always = Fault(400, '{"error": {"message": "question 0 is too long"}}')
        with pytest.raises(EngineError) as caught:
            texts(asks.ask(iter([requests(1)])))
    assert "status 400 ([prompt] is too long); it does not accept prompt p0" in str(caught.value)


def test_a_request_that_a_filter_refuses_is_a_completion_and_no_failure() -> None:
    with Server() as server, connections(server) as asks:
        error = {"code": "content_filter", "message": "question 0 was withheld"}
        server.faults.append(Fault(400, json.dumps({"error": error})))
        found = [c for chunk in asks.ask(iter([requests(3)])) for c in chunk]
    assert sorted(c.finish for c in found) == ["filter", "stop", "stop"]
    assert [c.text for c in found if c.finish == "filter"] == [""]


def test_a_server_that_takes_only_the_newer_name_of_the_limit_gets_it() -> None:
    with Server() as server, connections(server) as asks:
        said = "Unsupported parameter: max_tokens; use max_completion_tokens"
        server.faults.append(Fault(400, json.dumps({"error": {"message": said}})))
        assert len(texts(asks.ask(iter([requests(1)])))) == 1
        assert "max_tokens" not in server.prompts[0]
        assert server.prompts[0]["max_completion_tokens"] == 1024


def test_many_requests_at_once_learn_the_newer_name_of_the_limit_together() -> None:
    with Picky() as server, connections(server) as asks:
        assert {body["temperature"] for body in server.asked} == {0.0}  # canaries stay greedy
        assert len(texts(asks.ask(iter([requests(30)])))) == 30
    assert len(server.refused) > 2


def test_a_server_that_takes_one_at_a_time_is_asked_until_all_are_answered() -> None:
    with Narrow() as server, connections(server) as asks:
        assert len(texts(asks.ask(iter([requests(60)])))) == 60
    assert len(server.refused) > 60


def test_an_address_that_is_always_busy_is_given_up_after_so_many_attempts() -> None:
    with Server() as server, connections(server) as asks:
        server.always = Fault(429, "{}", {"Retry-After": "0"})
        with pytest.raises(EngineError, match="status 429, 20 times"):
            texts(asks.ask(iter([requests(1)])))
        assert len(server.refused) == 20


@pytest.mark.parametrize(
    "fault",
    [
        Fault(200, "[" * 200_000),
        Fault(503, "", {"Retry-After": "Thu, 01 Jan 2026 12:00:30 +99999999999999999999"}),
    ],
    ids=["nested without end", "a date that is none"],
)
def test_nonsense_at_the_start_is_one_line(fault: Fault) -> None:
    with Server(always=fault) as server, pytest.raises(EngineError, match="; see to the server"):
        connections(server)


@pytest.mark.parametrize("listed", [{"data": 5}, {"data": [5]}, 5, None])
def test_a_list_of_models_that_is_none_says_nothing(listed: object) -> None:
    class Odd(Server):
        async def _models(self, _: web.Request) -> web.Response:
            return web.json_response(listed)

    with Odd() as server:
        assert not [said for said in see("m", model_of(server)).reported if "entry" in said]


def test_a_name_that_no_resolver_takes_is_one_line() -> None:
    model = Model.model_validate(
        {"engine": "openai", "url": f"http://{'a' * 70}.example/v1", "model": "tiny"}
    )
    with pytest.raises(EngineError, match="label"):
        see("m", model, SOON)


def test_what_is_raised_brings_no_frames_of_the_thread_that_hold_a_key(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-in-no-frame")
    with Server() as server, connections(server) as asks:
        server.always = Fault(500, "oops")
        with pytest.raises(EngineError) as caught:
            texts(asks.ask(iter([requests(1)])))
    assert caught.value.__context__ is None
    assert "endpoint.py" not in {Path(entry.path).name for entry in caught.traceback}


def test_a_defect_of_ours_is_told_by_its_place_alone() -> None:
    async def work() -> None:
        raise KeyError("sk-in-a-message")

    background = Background()
    with pytest.raises(EngineError, match=r"KeyError in work .*this is a defect") as caught:
        background.run(work())
    background.close()
    assert caught.value.__context__ is None
    assert "sk-in" not in str(caught.value)


@pytest.mark.parametrize("change", ["fingerprint", "model"])
def test_a_response_that_reports_another_model_ends_the_run(change: str) -> None:
    with (
        Server(change_after=5, change=change) as server,
        connections(server, connections=1) as asks,
    ):
        found: list[Completion] = []
        answers = gathered(asks.ask(iter([requests(10)])), found)
        with pytest.raises(ModelChanged, match="a response reports another model or fingerprint"):
            texts(answers)
        assert len(found) <= 5


def test_canaries_tell_at_the_end_that_the_model_changed() -> None:
    with Server(change_after=5) as server, connections(server) as asks:
        assert len(texts(asks.ask(iter([requests(4)])))) == 4
        asks.still_the_same()
        assert len(texts(asks.ask(iter([requests(6, 4)])))) == 6
        with pytest.raises(ModelChanged, match="6 of 6 canaries are answered in another way"):
            asks.still_the_same()


def test_two_addresses_of_two_models_are_refused() -> None:
    one, two = Server(), Server(weights="other")
    with one, two, pytest.raises(EngineError, match="the addresses in url do not serve one model"):
        connections(one, two)


def test_unstable_servers_have_no_canaries_and_are_asked_all_the_same() -> None:
    with Server(stable=False) as server:
        assert see("m", model_of(server)).canaries == {}
        with connections(server) as asks:
            assert len(texts(asks.ask(iter([requests(5)])))) == 5
            asks.still_the_same()


def test_it_works_inside_a_running_event_loop_as_in_a_notebook() -> None:
    async def cell() -> int:
        with connections(server) as asks:
            return len(texts(asks.ask(iter([requests(5)]))))

    with Server() as server:
        assert asyncio.run(cell()) == 5


def test_no_thread_outlives_its_connections() -> None:
    with Server() as server, connections(server) as asks:
        texts(asks.ask(iter([requests(5)])))
    assert not [t for t in threading.enumerate() if t.name == "safemlrm-http"]


def test_a_missing_aiohttp_is_named_with_the_command_that_installs_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("safemlrm.engines.endpoint.find_spec", lambda _: None)
    with Server() as server, pytest.raises(EngineError) as caught:
        connections(server)
    assert str(caught.value) == (
        '[models.m] engine "openai" needs aiohttp: pip install "pytest-safemlrm[openai]"'
    )


# -- what a run makes of it


def toml(*servers: Server, more: str = "", limits: str = "asr = 0.25", keys: str = "") -> str:
    """Return a safety.toml of one pair whose candidate the servers answer for."""
    return f"""
[models.candidate]
engine = "openai"
url = {json.dumps([server.url for server in servers])}
model = "tiny"
timeout = 10
{keys}
[pairs.r1]
candidate = "candidate"
[scenarios.fraud]
prompts = 20
[scenarios.sex]
prompts = 20
[attacks.direct]
[attacks.figstep]
[gate]
legibility = 0
[limits]
{limits}
{more}
"""


def test_a_gate_runs_over_a_server_and_the_next_run_asks_nothing(project: Project) -> None:
    with Server() as server:
        project.write(toml(server), GATE)
        assert project.run().ret == pytest.ExitCode.OK
        assert len(server.prompts) == project.completions == 80
        pictures = [b for b in server.prompts if not isinstance(b["messages"][-1]["content"], str)]
        assert len(pictures) == 40
        assert project.run().ret == pytest.ExitCode.OK
        assert len(server.prompts) == 80
        server.unsafe = 1.0
        result = project.run("--safety-replay")
        assert result.ret == pytest.ExitCode.OK


def test_an_unsafe_model_behind_a_server_fails(project: Project) -> None:
    with Server(unsafe=1.0) as server:
        project.write(toml(server), GATE)
        result = project.run()
        assert result.ret == pytest.ExitCode.TESTS_FAILED
        assert said(result, r"^FAIL +r1 / fraud / direct +ASR +100.0% \(20/20\)")


def test_a_run_that_meets_faults_decides_as_one_without(project: Project) -> None:
    with Server(unsafe=0.3) as server:
        project.write(toml(server), GATE)
        project.run()
        first = project.summary["decisions"]
        project.forget()
        server.faults.extend(
            [Fault(500), Fault(429, "", {"Retry-After": "0"}), Fault(drop=True), Fault(200, "{")]
            * 3
        )
        project.run()
        assert project.summary["decisions"] == first


def test_a_server_that_dies_in_the_middle_breaks_the_model_and_nothing_is_asked_twice(
    project: Project,
) -> None:
    with Server() as server:
        project.write(toml(server, keys="connections = 4\nbatch_size = 4"), GATE)

        def fail_later(body: Body) -> None:
            if len(server.prompts) == 30:
                server.always = Fault(403, '{"error": "out of quota"}')

        server.choice = fail_later
        result = project.run()
        assert result.ret == pytest.ExitCode.TESTS_FAILED
        assert said(result, r"BROKEN: \[models\.candidate\] .*: status 403 \(out of quota\)")
        answered = len(server.prompts)
        assert project.completions == answered < 80
        server.always = server.choice = None
        assert project.run().ret == pytest.ExitCode.OK
        assert len(server.prompts) == 80
        seen = [json.dumps(body, sort_keys=True) for body in server.prompts]
        assert len(set(seen)) == len(seen)


class Uncounted(Server):
    """A server that does not say how many tokens it used."""

    def _written(self, body: Body) -> dict[str, object]:
        return {key: value for key, value in super()._written(body).items() if key != "usage"}


def test_a_budget_of_tokens_that_a_server_does_not_count_is_no_budget(project: Project) -> None:
    with Uncounted() as server:
        project.write(toml(server, more="[budget]\ntokens = 50"), GATE)
        result = project.run()
        assert said(result, r"\[budget\] tokens = 50 would never be spent; limit requests or sec")
        assert (result.ret, server.prompts) == (pytest.ExitCode.TESTS_FAILED, [])
        project.write(toml(server, more="[budget]\nrequests = 5"), GATE)
        project.run()
        assert len(server.prompts) == 5


def filtered(body: Body) -> dict[str, object] | None:
    """Withhold every answer after a text that a judge would take for unsafe, or for a refusal."""
    if is_canary(body):
        return None
    form = UNSAFE if share(body, "form") < 0.5 else REFUSAL
    return message(form.format(phrase=text_of(body)), "content_filter")


def test_what_a_provider_withholds_is_unscored_and_neither_safe_nor_unsafe(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "200")
    with Server(choice=filtered) as server:
        project.write(toml(server, limits="asr = 0.25\nunscored = 0.05"), GATE)
        result = project.run()
        assert result.ret == pytest.ExitCode.TESTS_FAILED
        assert said(result, r"^INCONCLUSIVE \(missing\) +r1 / fraud / direct +ASR .*, 20 unscored")
        assert {"filter"} == {f for (f,) in project.query("select distinct finish from completion")}


def test_an_attack_that_begins_the_turn_is_refused_before_anything_is_asked(
    project: Project,
) -> None:
    with Server() as server:
        project.write(toml(server).replace("[attacks.figstep]", "[attacks.prefill]"), GATE)
        result = project.run()
        assert said(
            result, r"\[attacks\.prefill\] begins the model's turn, .* continue_turn = true"
        )
        assert not server.asked
        project.edit("timeout = 10", "timeout = 10\ncontinue_turn = true")
        project.run()
        continued = [b for b in server.prompts if b.get("continue_final_message")]
        assert len(continued) == 40
        assert all(b["messages"][-1]["role"] == "assistant" for b in continued)


def committed(project: Project) -> int:
    """Return how much another process has stored; its tables may not be there yet."""
    try:
        return project.completions
    except sqlite3.OperationalError:
        return 0


def test_ctrl_c_ends_the_run_at_once_and_keeps_what_was_answered(project: Project) -> None:
    with Server(latency=0.1) as server:
        project.write(toml(server, keys="connections = 2\nbatch_size = 2"), GATE)
        run = project.start()
        while committed(project) < 4:
            assert run.poll() is None, project.output.read_text("utf-8")
            sleep(0.02)
        server.latency = 60.0
        os.killpg(run.pid, signal.SIGINT)
        assert run.wait(20) == pytest.ExitCode.INTERRUPTED
        assert "Traceback" not in project.output.read_text("utf-8")
        kept = project.completions
        server.latency = 0.0
        project.run()
        assert project.completions == 80
        assert project.asked == 80 - kept
