"""Children: order, crashes, dead parents, noise, and every way a parent may have been started."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from safemlrm.config import Model, Script
from safemlrm.engines import children as module
from safemlrm.engines.children import Children
from safemlrm.engines.identity import identity_of, model_folder
from safemlrm.errors import EngineError
from safemlrm.types import Completion, Prompt, Request, Turn

HERE = Path()
ASK = """
from pathlib import Path
from safemlrm.config import Model, Script
from safemlrm.engines.children import Children
from safemlrm.types import Prompt, Request, Turn

def main():
    prompt = Prompt("p", "fraud", (Turn("How?"),), "x")
    model = Model(engine="scripted", script=Script(delay_ms={delay}))
    with Children("fake", model, Path()) as children:
        print([child._process.pid for child in children._children], flush=True)
        for answers in children.ask([[Request("k", prompt, 1)]] * {batches}):
            print(len(answers), flush=True)

"""


def batches(count: int, size: int = 4) -> list[list[Request]]:
    """Return numbered requests in batches."""
    prompt = Prompt("p", "fraud", (Turn("How does a boat work?"),), "a boat")
    return [[Request(f"{b}-{i}", prompt, i) for i in range(size)] for b in range(count)]


def scripted(devices: int = 1, **script: Any) -> Model:
    """Return a scripted model on some devices."""
    names = tuple(f"cpu:{index}" for index in range(devices))
    return Model(engine="scripted", devices=names, script=Script(**script))


def keys(answers: list[list[Completion]]) -> list[list[str]]:
    """Return the keys of each batch."""
    return [[completion.key for completion in batch] for batch in answers]


def alive(pid: int) -> bool:
    """Tell whether a process runs (a zombie does not)."""
    try:
        return ") Z " not in Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return False


def wait_until(holds: Callable[[], bool], seconds: float = 20) -> bool:
    """Wait for something to become true."""
    end = time.monotonic() + seconds
    while not holds() and time.monotonic() < end:
        time.sleep(0.05)
    return holds()


@pytest.mark.parametrize("devices", [1, 3])
def test_every_batch_comes_back_once(devices: int) -> None:
    with Children("fake", scripted(devices), HERE) as children:
        answers = list(children.ask(batches(9)))
    assert sorted(keys(answers)) == keys(
        [[Completion(r.key, "", "stop", 0, 0) for r in batch] for batch in batches(9)]
    )


def test_one_child_answers_in_order_and_again() -> None:
    with Children("fake", scripted(), HERE) as children:
        assert [batch[0] for batch in keys(list(children.ask(batches(5))))] == [
            "0-0",
            "1-0",
            "2-0",
            "3-0",
            "4-0",
        ]
        assert len(list(children.ask(batches(3)))) == 3
        assert list(children.ask([])) == []


def test_what_an_abandoned_question_left_is_not_mixed_in() -> None:
    with Children("fake", scripted(2), HERE) as children:
        next(children.ask(batches(6, size=1)))
        assert sorted(keys(list(children.ask(batches(2, size=2))))) == [
            ["0-0", "0-1"],
            ["1-0", "1-1"],
        ]


def test_batches_are_taken_only_when_a_child_has_room() -> None:
    taken = []

    def lazily() -> Iterator[list[Request]]:
        for batch in batches(8):
            taken.append(batch)
            yield batch

    with Children("fake", scripted(2), HERE) as children:
        asking = children.ask(lazily())
        next(asking)
        assert len(taken) == 2 * module.IN_FLIGHT + 1
        assert len(list(asking)) == 7


def test_two_children_work_at_the_same_time() -> None:
    with Children("fake", scripted(2, delay_ms=400), HERE) as children:
        list(children.ask(batches(2)))  # both have started
        start = time.monotonic()
        list(children.ask(batches(6)))
        assert time.monotonic() - start < 6 * 0.4


def test_requests_without_an_answer_are_absent() -> None:
    with Children("fake", scripted(drop=1.0), HERE) as children:
        assert list(children.ask(batches(2))) == [[], []]


def test_a_killed_child_is_named_after_what_came_back() -> None:
    answers: list[list[Completion]] = []
    with Children("fake", scripted(die_after=9), HERE) as children:
        with pytest.raises(EngineError) as caught:
            answers.extend(children.ask(batches(5)))
        assert str(caught.value) == (
            "model 'fake' on cpu:0: its process was killed by SIGKILL (often the system, out of "
            "memory)"
        )
        assert len(answers) == 2
        with pytest.raises(EngineError, match="SIGKILL"):
            list(children.ask(batches(1)))


def test_batches_that_came_back_are_yielded_before_the_error() -> None:
    got = []
    with Children("fake", scripted(die_after=9), HERE) as children:
        asking = children.ask(batches(5))
        got.append(next(asking)[0].key)
        time.sleep(1)  # the second batch comes back and the child dies
        got.append(next(asking)[0].key)
        with pytest.raises(EngineError, match="SIGKILL"):
            next(asking)
    assert got == ["0-0", "1-0"]


@pytest.mark.parametrize("number", [signal.SIGSEGV, signal.SIGTERM, signal.SIGABRT])
def test_the_signal_is_named(number: signal.Signals) -> None:
    with Children("fake", scripted(delay_ms=60_000), HERE) as children:
        asking = children.ask(batches(1))
        pid = children._children[0]._process.pid
        os.kill(pid, number)
        with pytest.raises(EngineError, match=f"on cpu:0: its process was killed by {number.name}"):
            next(asking)


@pytest.mark.parametrize("share", [0.0001, 0.5, 0.9999])
def test_a_child_killed_while_it_answers(monkeypatch: pytest.MonkeyPatch, share: float) -> None:
    """What has arrived of the answer, of some 300 KiB, is no whole pickle."""
    torn = (
        "import os, pickle, signal\n"
        "from safemlrm.engines import child\n"
        "def send(outbox, message):\n"
        "    data = pickle.dumps(message)\n"
        "    assert len(data) > 2**17, len(data)\n"
        f"    outbox.write(data[: int({share} * len(data))])\n"
        "    outbox.flush()\n"
        "    os.kill(os.getpid(), signal.SIGKILL)\n"
        "child.send = send\n"
        "child.main()"
    )
    monkeypatch.setattr(module, "BOOT", torn)
    with (
        Children("fake", scripted(), HERE) as children,
        pytest.raises(EngineError, match="its process was killed by SIGKILL"),
    ):
        list(children.ask(batches(1, size=6000)))


@pytest.mark.parametrize("data", [b"\xff garbage", b"\x80\x04Nno.", b"cno.such.module\nname\n."])
def test_a_child_that_cannot_be_understood(monkeypatch: pytest.MonkeyPatch, data: bytes) -> None:
    babbling = (
        "import time\n"
        "from safemlrm.engines import child\n"
        "def send(outbox, message):\n"
        f"    outbox.write({data!r}); outbox.flush(); time.sleep(600)\n"
        "child.send = send\n"
        "child.main()"
    )
    monkeypatch.setattr(module, "BOOT", babbling)
    monkeypatch.setattr(module, "GRACE_SECONDS", 0.5)
    with Children("fake", scripted(), HERE) as children:
        pid = children._children[0]._process.pid
        with pytest.raises(EngineError) as caught:
            list(children.ask(batches(1)))
        assert not alive(pid)
    assert str(caught.value) == f"model 'fake' on cpu:0: {module.UNHEARD}"


def test_a_batch_that_cannot_be_read_ends_the_child(monkeypatch: pytest.MonkeyPatch) -> None:
    with Children("fake", scripted(), HERE) as children:
        list(children.ask(batches(1)))
        pipe = children._children[0]._stdin
        pipe.write(b"\xff garbage")
        pipe.flush()
        with pytest.raises(EngineError, match=r"exit code 1: .*UnpicklingError"):
            list(children.ask(batches(1)))


CHANGED = (
    "model 'fake' changed while the run was going on: its files are not the ones that were "
    "identified; run again"
)


def test_the_identified_model_is_the_loaded_one() -> None:
    digest = identity_of("fake", scripted(), HERE).digest
    with Children("fake", scripted(2), HERE, digest) as children:
        assert len(list(children.ask(batches(5)))) == 5
        assert len(list(children.ask(batches(2)))) == 2


def test_no_answer_of_a_changed_model_is_yielded() -> None:
    with Children("fake", scripted(2), HERE, "that of another") as children:
        answers: list[list[Completion]] = []
        for _ in range(2):
            with pytest.raises(EngineError) as caught:
                answers.extend(children.ask(batches(5)))
            assert str(caught.value) == CHANGED
            time.sleep(0.5)  # what the children say in the meantime is not taken either
    assert answers == []


def test_of_two_children_the_one_that_loaded_other_files_is_not_heard(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The folder is replaced after the first child has read it."""
    late = (
        "import time\n"
        "from dataclasses import replace\n"
        "from safemlrm.engines import child\n"
        "plain, build = child.identity_of, child.build_engine\n"
        "devices = []\n"
        "def noted(name, model, folder, device):\n"
        "    devices.append(device)\n"
        "    return build(name, model, folder, device)\n"
        "def late(*arguments):\n"
        "    if devices == ['cpu:0']: return plain(*arguments)\n"
        "    time.sleep(1.5)\n"
        "    return replace(plain(*arguments), digest='another')\n"
        "child.build_engine, child.identity_of = noted, late\n"
        "child.main()"
    )
    monkeypatch.setattr(module, "BOOT", late)
    digest = identity_of("fake", scripted(), HERE).digest
    with Children("fake", scripted(2), HERE, digest) as children:
        answers: list[list[Completion]] = []
        with pytest.raises(EngineError) as caught:
            answers.extend(children.ask(batches(4)))
        assert str(caught.value) == CHANGED
    assert sorted(keys(answers)) == [[f"{b}-{i}" for i in range(4)] for b in (0, 2)]


@pytest.mark.parametrize("when", ["never", "before it is loaded", "while it is loaded"])
def test_a_checkpoint_replaced_after_it_was_identified(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, when: str
) -> None:
    root = model_folder(Model(path="organism:base"), HERE)
    folder = Path(shutil.copytree(root, tmp_path / "m"))
    model = Model(path=str(folder), devices=("cpu:0",))
    digest = identity_of("fake", model, HERE).digest
    other = folder / "generation_config.json"
    replace = f"open({str(other)!r}, 'a').write(' ')\n"
    loading = (
        "from safemlrm.engines import child\n"
        "build = child.build_engine\n"
        "def replaced(*arguments):\n"
        "    engine = build(*arguments)\n"
        f"    {replace}"
        "    return engine\n"
        "child.build_engine = replaced\n"
        "child.main()"
    )
    if when == "before it is loaded":
        other.write_text(other.read_text() + " ")
    elif when == "while it is loaded":
        monkeypatch.setattr(module, "BOOT", loading)
    with Children("fake", model, HERE, digest) as children:
        if when == "never":
            assert len(list(children.ask(batches(1)))) == 1
            return
        with pytest.raises(EngineError) as caught:
            next(children.ask(batches(1)))
    assert str(caught.value) == CHANGED


def test_an_exit_is_told_with_the_last_words(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "BOOT", "import sys; print('noise'); sys.exit('no driver\\n')")
    with (
        Children("fake", scripted(), HERE) as children,
        pytest.raises(EngineError, match="its process ended with exit code 1: no driver"),
    ):
        list(children.ask(batches(1)))


def test_noise_stays_away_and_does_not_disturb(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    noisy = (
        "import os, sys; print('noise of a .pth file', end='')\n"
        "sys.stdout.flush(); from safemlrm.engines import child, scripted\n"
        "plain = scripted.ScriptedEngine.generate\n"
        "def generate(self, requests):\n"
        "    print('python noise'); os.system('echo shell noise; echo more >&2')\n"
        "    os.write(1, b'native noise'); sys.stderr.write('a warning'); sys.stdin.read()\n"
        "    return plain(self, requests)\n"
        "scripted.ScriptedEngine.generate = generate\n"
        "child.main()"
    )
    monkeypatch.setattr(module, "BOOT", noisy)
    with Children("fake", scripted(), HERE) as children:
        assert len(list(children.ask(batches(3)))) == 3
    assert capfd.readouterr() == ("", "")


def test_an_engine_that_cannot_be_loaded(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text("{}")
    with (
        Children("base", Model(path=str(tmp_path), devices=("cpu",)), HERE) as children,
        pytest.raises(EngineError, match=r"^model 'base' on cpu: .*: no weights; expected"),
    ):
        list(children.ask(batches(1)))


def test_an_engine_that_raises_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    broken = (
        "from safemlrm.engines import child, scripted\n"
        "def generate(self, requests): raise RuntimeError('first\\nsecond')\n"
        "scripted.ScriptedEngine.generate = generate\n"
        "child.main()"
    )
    monkeypatch.setattr(module, "BOOT", broken)
    with Children("fake", scripted(), HERE) as children, pytest.raises(EngineError) as caught:
        list(children.ask(batches(1)))
    assert str(caught.value) == "model 'fake' on cpu:0: RuntimeError: first"


def test_children_end_with_the_context() -> None:
    with Children("fake", scripted(2, delay_ms=60_000), HERE) as children:
        pids = [child._process.pid for child in children._children]
        assert all(map(alive, pids))
        start = time.monotonic()
    assert not any(map(alive, pids))
    assert time.monotonic() - start < module.GRACE_SECONDS


def test_a_child_that_hangs_is_killed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "BOOT", "import time; time.sleep(600)")
    monkeypatch.setattr(module, "GRACE_SECONDS", 0.2)
    with Children("fake", scripted(), HERE) as children:
        pid = children._children[0]._process.pid
    assert not alive(pid)


def test_children_die_with_a_killed_parent() -> None:
    code = ASK.format(delay=60_000, batches=2) + "main()"
    with subprocess.Popen(
        [sys.executable, "-c", code], stdout=subprocess.PIPE, text=True
    ) as parent:
        assert parent.stdout is not None
        pids = [int(pid) for pid in parent.stdout.readline().strip("[]\n").split(",")]
        assert all(map(alive, pids))
        parent.kill()
    assert wait_until(lambda: not any(map(alive, pids)))


def test_ctrl_c_reaches_the_parent_only() -> None:
    """The whole process group is interrupted, as a terminal does."""
    code = ASK.format(delay=300, batches=50) + "main()"
    with subprocess.Popen(
        [sys.executable, "-c", code],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    ) as parent:
        assert parent.stdout is not None
        pids = [int(pid) for pid in parent.stdout.readline().strip("[]\n").split(",")]
        assert parent.stdout.readline() == "1\n"
        os.killpg(parent.pid, signal.SIGINT)
        _, errors = parent.communicate(timeout=30)
    assert errors.count("KeyboardInterrupt") == 1  # the parent's own, none of a child's
    assert not any(map(alive, pids))


@pytest.mark.parametrize("how", ["script", "unguarded", "module", "command", "stdin"])
def test_any_parent_can_have_children(tmp_path: Path, how: str) -> None:
    """A script without a main guard, `python -m`, a REPL: `__main__` is not run in a child."""
    file = tmp_path / "parent_script.py"
    guard = "main()" if how == "unguarded" else "if __name__ == '__main__':\n    main()"
    file.write_text(ASK.format(delay=0, batches=2) + guard + "\n")
    arguments = {
        "script": [str(file)],
        "unguarded": [str(file)],
        "module": ["-m", "parent_script"],
        "command": ["-c", file.read_text()],
        "stdin": ["-i", "-"],
    }
    done = subprocess.run(
        [sys.executable, *arguments[how]],
        input=file.read_text() if how == "stdin" else "",
        capture_output=True,
        text=True,
        timeout=60,
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(map(os.path.abspath, sys.path))},
    )
    assert done.stdout.splitlines()[1:] == ["1", "1"], done.stderr


def test_a_real_model_on_two_children_and_no_torch_here() -> None:
    code = """
import sys
from pathlib import Path
from safemlrm.config import Model
from safemlrm.engines.children import Children
from safemlrm.engines.identity import identity_of
from safemlrm.types import Prompt, Request, Turn

prompt = Prompt("p", "fraud", (Turn("How do fake reviews work?"),), "fake reviews")
model = Model(path="organism:base", devices=("cpu:0", "cpu:1"))
identity_of("base", model, Path())
with Children("base", model, Path()) as children:
    requests = [[Request(f"{b}-{i}", prompt, 8 * b + i) for i in range(8)] for b in range(4)]
    answers = [c for batch in children.ask(requests) for c in batch]
assert all(c.text and c.finish == "stop" for c in answers), answers
print(len(answers), len({c.text for c in answers}) > 1, "torch" in sys.modules)
"""
    done = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(map(os.path.abspath, sys.path))},
    )
    assert (done.stdout, done.stderr) == ("32 True False\n", "")


def test_the_environment_is_quiet_and_shares_the_cores(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    monkeypatch.setattr(module, "_cores", lambda: 8)
    told = (
        "import os, sys; names = ('OMP_NUM_THREADS', 'OMP_WAIT_POLICY', 'TOKENIZERS_PARALLELISM')\n"
        "sys.exit(' '.join(os.environ[name] for name in names))"
    )
    monkeypatch.setattr(module, "BOOT", told)
    with (
        Children("fake", scripted(3), HERE) as children,
        pytest.raises(EngineError, match="exit code 1: 2 PASSIVE false"),
    ):
        list(children.ask(batches(1)))


@pytest.mark.parametrize(("devices", "threads"), [(1, 2), (2, 1)])
def test_a_childs_torch_has_its_share_of_the_cores(
    monkeypatch: pytest.MonkeyPatch, devices: int, threads: int
) -> None:
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    monkeypatch.setattr(module, "_cores", lambda: 2)
    told = "import sys, torch; sys.exit(f'{torch.get_num_threads()} threads')"
    monkeypatch.setattr(module, "BOOT", told)
    # Torch takes no more threads than the machine has cores, whatever it is told.
    expected = min(threads, os.cpu_count() or 1)
    with (
        Children("fake", scripted(devices), HERE) as children,
        pytest.raises(EngineError, match=f"exit code 1: {expected} threads"),
    ):
        list(children.ask(batches(1)))
