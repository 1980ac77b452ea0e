"""Strangers' text breaks no report and moves no cursor; what was said stays in the store."""

from __future__ import annotations

import json
import shutil
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass
from html.parser import HTMLParser
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest
from markdown_it import MarkdownIt

from fixtures.projects import Folder
from fixtures.servers import Body, Fault, Server, is_canary, message, text_of
from safemlrm.engines.scripted import UNSAFE

SAID, ASKED, PHRASE = "qsaidq", "qaskedq", "qphraseq"
ESCAPE, BELL = "\x1b", "\x07"
HOSTILE = (
    "<script>alert(1)</script>",
    "<img src=x onerror=alert(1)>",
    '"><svg/onload=alert(1)>',
    "[a link](javascript:alert(1)) ![x](data:text/html;base64,PHNjcmlwdD4=)",
    f"{ESCAPE}[31mred{ESCAPE}[2J{ESCAPE}[1A{ESCAPE}[0m",
    f"{ESCAPE}]0;a title{BELL}{ESCAPE}]8;;https://example.org{BELL}a link{ESCAPE}]8;;{BELL}",
    "\x9b31m\x9d0;a title\x9c\x85\x0c\x0b\r\x08",
    "{{7*7}} ${7*7} #{7*7} <%= 7*7 %> {% raw %} ${{ secrets.GITHUB_TOKEN }} %s {0}",
    "\u202eright to left\u202c \u2066isolated\u2069 \u200bzero\u2028line\u2029paragraph\ufeff",
    "a NUL \x00 and ]]> and <!-- and --> and &amp; &#0; \ufffe\uffff",
    "| a | table |\n```\n# heading\n@everyone #1 ::error::x\n::set-output name=x::y",
    "'; drop table completion; --",
)
LONG = "long " * 200_000
HALF = "\ud800 half \udfff"
pytestmark = pytest.mark.slow

MODEL = f"tiny{HOSTILE[0]}{HOSTILE[5]}{HOSTILE[8]}|`@all`"
LOUD = ("-vv", "-l", "--tb=long", "--setup-show", "-o", "log_cli=true", "--log-level=DEBUG")
REPORTS = ("--color=no", "--alluredir=allure-results", "--junitxml=junit.xml")
NO_ICON = "data:,"
WRITTEN = (
    "summary.json",
    "release-record.json",
    "summary.md",
    "index.html",
    "history.jsonl",
    "run.json",
)
ATTACK = """
class Quoting:
    digest = "quoting/1"

    def apply(self, prompt, seed):
        raise ValueError(f"cannot attack {prompt.turns[0].text} {prompt.phrase}")

def pytest_safemlrm_attacks():
    return {"quoting": Quoting()}
"""
QUOTING_HOOK = """
def pytest_safemlrm_prompts():
    raise ValueError(open("hooked.jsonl").read())
"""
STORE = {"safety.db", "safety.db-wal", "safety.db-shm"}
PROMPTS = 20

TOML = """
[models.candidate]
engine = "openai"
url = "{url}"
model = {model}
reasoning = {{}}
[pairs.r1]
candidate = "candidate"
[scenarios.mine]
source = "prompts.jsonl"
expectation = "refuse"
policy = {hostile}
licence = {hostile}
prompts = 20
columns = {{ text = "text", phrase = "phrase", id = "id" }}
[scenarios.fraud]
source = "hooked"
policy = "No fraud."
licence = {hostile}
prompts = 20
[attacks.direct]
[attacks.figstep]
[gate]
legibility = 0
[limits]
asr = 0.25
[[limits.override]]
scenario = "mine"
attack = "direct"
asr = 0.2
reason = {hostile}
"""
HOOK = """
import json
from pathlib import Path
from safemlrm import Prompt, Turn

def pytest_safemlrm_prompts():
    rows = map(json.loads, Path("hooked.jsonl").read_text("utf-8").split("\\n"))
    return {"hooked": [Prompt(r["id"], "", (Turn(r["text"]),), r["phrase"]) for r in rows]}
"""
TESTS = """
import pytest

@pytest.mark.safety
def test_gate(evaluation, gate):
    gate(evaluation)

@pytest.mark.safety
def test_own_rule(evaluation):
    assert evaluation.candidate.asr.high <= .3

@pytest.mark.safety
def test_rows(evaluation):
    rows = evaluation.candidate.rows
    assert rows == evaluation

@pytest.mark.safety
def test_broken(evaluation, pytestconfig):
    everything = list(pytestconfig.stash._storage.values())
    run = next(value for value in everything if hasattr(value, "matrix"))
    matrix, cells = run.matrix, run.reader.cells
    prompts = matrix.scenarios["mine"].pool
    [first, *others] = cells.store.completions([evaluation.candidate.rows[0].key]).values()
    raise ValueError("shown with everything around it")
"""


def hostile(number: int) -> str:
    return HOSTILE[number % len(HOSTILE)]


def asked(name: str) -> list[dict[str, str]]:
    """Return the rows of a file of prompts: text, key phrase and id are all anybody's."""
    rows = []
    for number in range(PROMPTS):
        phrase = f"the {PHRASE} <b>{{{{{number}}}}}"
        text = f"{ASKED} {number}: what of {phrase}? {hostile(number + 1)}"
        rows.append({"id": f"{name} {number} {ASKED} {hostile(number)}", "text": text})
        rows[-1]["phrase"] = phrase
    rows[0]["text"] += LONG
    return rows


def answer(body: Body) -> dict[str, Any] | None:
    """Comply with everything, in words that are all hostile; the first prompt's answer is very long."""
    if is_canary(body):
        return None
    text = text_of(body)
    number, more = sum(map(ord, text[:400])), LONG if LONG in text else HALF
    comply = UNSAFE.format(phrase=f"{SAID} {text[:60]}")
    thought = f"<think>{SAID} {hostile(number + 1)} {comply}</think>"
    return message(f"{thought}{comply} {hostile(number)} {more} {SAID}")


def encoded(text: str) -> str:
    """Write a text as TOML reads it, every odd character as an escape."""
    letters = (c if " " <= c <= "~" and c not in '"\\' else f"\\u{ord(c):04x}" for c in text)
    return f'"{"".join(letters)}"'


@dataclass(frozen=True)
class Ran:
    """What a run said and the files that it wrote, byte for byte; the store is not among them."""

    folder: Folder
    output: str
    files: Mapping[str, bytes]

    def holding(self, *words: str) -> list[str]:
        """Return which files hold any of the words; output.txt is what the run said."""
        found = {name for name, data in self.files.items() for w in words if w.encode() in data}
        return sorted(found)

    def text(self, name: str) -> str:
        return self.files[name].decode("utf-8")


def ran(folder: Folder, *arguments: str) -> Ran:
    """Run pytest in a folder that holds what a user wrote, and perhaps a store."""
    given = {file for file in folder.path.rglob("*") if file.is_file()}
    assert folder.start(*arguments, *REPORTS).wait() == pytest.ExitCode.TESTS_FAILED
    return wrote(folder, given)


def wrote(folder: Folder, given: set[Path]) -> Ran:
    """Return what a run left beside the files that were there before it."""
    files = {
        str(file.relative_to(folder.path)): file.read_bytes()
        for file in {file for file in folder.path.rglob("*") if file.is_file()} - given
        if file.name not in STORE and file.suffix != ".pyc"
    }
    return Ran(folder, files["output.txt"].decode("utf-8"), files)


def user_writes(folder: Folder, server: Server, more: str = "", hook: str = HOOK) -> None:
    """Write the configuration, prompts from a file and from a hook, and tests that show evidence."""
    for name in ("prompts", "hooked"):
        lines = "\n".join(map(json.dumps, asked(name)))
        (folder.path / f"{name}.jsonl").write_text(lines, "utf-8")
    (folder.path / "conftest.py").write_text(hook, "utf-8")
    every = encoded(" ".join(HOSTILE).replace("\x00", ""))
    toml = TOML.format(url=server.url, model=encoded(MODEL), hostile=every)
    folder.write(toml + more, TESTS)


@pytest.fixture(scope="module")
def measured(tmp_path_factory: pytest.TempPathFactory) -> Ran:
    """A loud run over two workers that asks for everything and shows nothing in full."""
    folder = Folder(tmp_path_factory.mktemp("measured"))
    with Server(choice=answer, model=MODEL) as server:
        user_writes(folder, server)
        run = ran(folder, "-n", "2", *LOUD)
    assert folder.completions == 4 * PROMPTS
    return run


def replayed(measured: Ran, path: Path, *arguments: str) -> Ran:
    """Run again in a copy that holds the store and what a user wrote."""
    folder = Folder(path)
    for file in measured.folder.path.glob("*.*"):
        if file.is_file() and file.name not in ("output.txt", "junit.xml"):
            shutil.copy(file, path)
    folder.adopt(measured.folder)
    return ran(folder, "--safety-replay", *arguments)


@pytest.fixture(scope="module", params=["measured", "none -n0", "redacted -n2"])
def shown(
    request: pytest.FixtureRequest, measured: Ran, tmp_path_factory: pytest.TempPathFactory
) -> Ran:
    """The measuring run, and replays of it under both levels that show no text."""
    if request.param == "measured":
        return measured
    level, workers = request.param.split()
    path = tmp_path_factory.mktemp(level)
    return replayed(measured, path, f"--safety-attach={level}", workers, *LOUD)


def test_what_was_asked_and_answered_stays_in_the_store(shown: Ran) -> None:
    assert shown.holding(SAID, ASKED, PHRASE) == []
    assert "shown with everything around it" in shown.output
    assert {f"reports/{name}" for name in WRITTEN} | {"junit.xml"} <= set(shown.files)
    assert not [name for name in shown.files if name.endswith(".png")]
    assert SAID.encode() in shown.folder.store.read_bytes()  # words are found where they are


def test_nothing_that_strangers_wrote_moves_a_terminals_cursor(shown: Ran) -> None:
    assert unseen(shown.output) == set()
    assert "\\x1b]0;a title" in shown.output  # it was shown, spelled out


def unseen(text: str) -> set[str]:
    """Return the characters of a text that a terminal obeys or that nobody can see."""
    kinds = {"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"}
    return {letter for letter in set(text) - {"\n"} if unicodedata.category(letter) in kinds}


def test_every_report_of_strangers_text_can_be_read(shown: Ran) -> None:
    summary = json.loads(shown.text("reports/summary.json"))
    assert len(summary["decisions"]) == 4
    assert {d["verdict"] for d in summary["decisions"]} == {"FAIL"}
    for name in shown.files:
        if name.endswith((".json", ".jsonl")):
            whole = shown.text(name)
            documents = whole.splitlines() if name.endswith(".jsonl") else [whole]
            assert all(json.loads(document) is not None for document in documents), name
        if name.endswith((".json", ".jsonl", ".md", ".html", ".xml", ".csv", ".svg")):
            assert unseen(shown.text(name)) == set(), name


def test_junit_is_xml_with_one_case_a_test_and_every_property(shown: Ran) -> None:
    suite = ElementTree.fromstring(shown.text("junit.xml")).find("testsuite")
    assert suite is not None
    about = properties(suite)
    assert about["safety.verdict"] == "FAILED"
    assert about["safety.judge"].startswith("rules (rules): rules-")
    assert about["safety.partial"].startswith("r1 was gated on harm without benign questions")
    cases = {f"{c.get('name')}": properties(c) for c in suite.iter("testcase")}
    assert len(cases) == len(list(suite.iter("testcase"))) == 16
    for name, found in cases.items():
        assert found["safety.case"] in name
        if name.startswith("test_gate"):
            [decision] = json.loads(found["safety.decisions"])
            assert json.loads(decision)["verdict"] == "FAIL"
            assert found["safety.metric.asr"].startswith("FAIL")
    [failure] = [c for c in suite.iter("testcase") if c.get("name") == "test_gate[r1-mine-direct]"]
    assert "<script>alert(1)</script>" in "".join(failure.itertext())


def properties(element: ElementTree.Element) -> dict[str, str]:
    """Return the properties of a suite or a case, each of which stands there once."""
    found = element.findall("properties/property")
    named = {str(p.get("name")): str(p.get("value")) for p in found}
    assert len(named) == len(found)
    return named


class Tags(HTMLParser):
    """Collects the tags of a page, and what their attributes would run or open."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.active: list[str] = []
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        for name, value in attrs:
            goes = name in ("href", "src") and (value or "").startswith(("javascript:", "data:"))
            if name.startswith("on") or (goes and value != NO_ICON):
                self.active.append(f"{tag} {name}={value}")


def test_no_stranger_adds_a_tag_to_the_page(shown: Ran) -> None:
    assert page_is_ours(shown.text("reports/index.html"))


def page_is_ours(page: str) -> bool:
    """Whether a page has no script but its own, no picture from elsewhere and no handler."""
    tags = Tags(page)
    assert tags.active == []
    assert "<script>alert" not in page
    return not {"img", "iframe", "object", "embed"} & set(tags.tags)


def test_markdown_shows_strangers_text_as_text(shown: Ran) -> None:
    text = shown.text("reports/summary.md")
    assert "\n::set-output" not in text
    read = MarkdownIt("commonmark", {"html": True}).enable("table").render(text)
    assert page_is_ours(read)
    assert not {"a", "script", "style", "svg"} & set(Tags(read).tags)


def test_what_is_shown_in_full_is_escaped_everywhere(measured: Ran, tmp_path: Path) -> None:
    full = replayed(measured, tmp_path, "--safety-attach=full", "-k", "test_gate")
    page = full.text("reports/index.html")
    assert SAID in page
    assert page_is_ours(page)
    assert unseen(page) == unseen(full.output) == set()
    attached = [full.text(name) for name in full.files if name.endswith("-attachment.txt")]
    assert any(SAID in text for text in attached)
    assert all(unseen(text) == set() for text in attached)


def broken(path: Path, server: Server, more: str = "", hook: str = HOOK) -> Ran:
    """Run what cannot work, as loudly as pytest can; whatever ends it says what it met."""
    folder = Folder(path)
    user_writes(folder, server, more, hook)
    given = {file for file in path.rglob("*") if file.is_file()}
    code = folder.start(*LOUD, "-o", "junit_logging=all", *REPORTS).wait()
    assert code not in (pytest.ExitCode.OK, pytest.ExitCode.INTERNAL_ERROR)
    return wrote(folder, given)


@pytest.mark.parametrize(
    ("status", "said"), [(400, "status 400"), (500, "status 500"), (200, "asking again")]
)
def test_a_server_that_quotes_what_it_was_asked_is_not_repeated(
    tmp_path: Path, status: int, said: str
) -> None:
    quoted = json.dumps({"detail": [{"input": asked("prompts")[1]["text"], "msg": hostile(4)}]})
    with Server(model=MODEL) as server:
        server.faults.extend([Fault(status, quoted)] * PROMPTS)
        run = broken(tmp_path, server)
    assert run.holding(ASKED, PHRASE) == []
    assert unseen(run.output) == set()
    assert said in run.output


def test_an_attack_that_quotes_a_prompt_is_not_repeated(tmp_path: Path) -> None:
    with Server(choice=answer, model=MODEL) as server:
        run = broken(tmp_path, server, "[attacks.quoting]\n", HOOK + ATTACK)
    assert "ValueError" in run.output
    assert run.holding(ASKED, PHRASE) == []


def test_a_hook_that_quotes_prompts_is_not_repeated(tmp_path: Path) -> None:
    with Server(choice=answer, model=MODEL) as server:
        run = broken(tmp_path, server, "", QUOTING_HOOK)
    assert "pytest_safemlrm_prompts raised ValueError" in run.output
    assert run.holding(ASKED, PHRASE) == []
