"""A key appears in no store, report, log or traceback, wherever it was given and whoever echoes it."""

from __future__ import annotations

import json
from base64 import b64encode
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote

import pytest

from fixtures.projects import Project, said
from fixtures.servers import Fault, Server

KEY = "sk-environment-Zq81+/x"
QUERY = "query-secret/77 aB"
PASSWORD = "pass-word-93!x"
LOUD = ("-vv", "-l", "--tb=long", "--showlocals", "-o", "log_cli=true", "--log-level=DEBUG")
SPREAD = ("-n", "2", "--alluredir=allure-results", "--junitxml=junit.xml")
FORMS = {
    form
    for secret in (KEY, QUERY, PASSWORD)
    for form in (secret, quote(secret, safe=""), quote(secret), json.dumps(secret)[1:-1])
} | {b64encode(f"me:{PASSWORD}".encode()).decode()}

FAILING = """
import pytest

@pytest.mark.safety
def test_gate(evaluation, gate, request):
    everything = list(request.config.stash._storage.values())
    config = next(value.config for value in everything if hasattr(value, "matrix"))
    models = config.models
    model = evaluation.candidate
    assert model is None

@pytest.mark.safety
def test_broken(evaluation):
    raise ValueError("shown with everything around it")
"""

TOML = """
[models.candidate]
engine = "openai"
url = "{url}"
model = "tiny"
timeout = 10
key_env = "MY_KEY"
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


@pytest.fixture
def server() -> Iterator[Server]:
    with Server() as running:
        yield running


def leaks(project: Project, output: str) -> list[str]:
    """Return where a secret stands, in any form, other than in the file a user wrote it into."""
    files = [p for p in project.path.rglob("*") if p.is_file() and p.name != "safety.toml"]
    assert {"safety.db", "safety.db-wal", "junit.xml"} & {p.name for p in files}
    found = [str(p) for p in files if any(form.encode() in p.read_bytes() for form in FORMS)]
    return found + [form for form in FORMS if form in output]


def run(project: Project, monkeypatch: pytest.MonkeyPatch, url: str, *more: str) -> str:
    """Run loudly and spread over workers, and return all that was said."""
    monkeypatch.setenv("MY_KEY", KEY)
    project.write(TOML.format(url=url), FAILING)
    result = project.run_apart(*LOUD, *SPREAD, *more)
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    return result.stdout.str() + result.stderr.str()


def with_query(server: Server) -> str:
    return f"{server.url}?api-key={quote(QUERY, safe='')}&deployment=blue"


def with_user(server: Server) -> str:
    return server.url.replace("http://", f"http://me:{quote(PASSWORD)}@")


@pytest.mark.slow
@pytest.mark.parametrize("written", [with_query, with_user])
def test_a_run_that_works_shows_no_secret(
    project: Project, server: Server, monkeypatch: pytest.MonkeyPatch, written: object
) -> None:
    assert callable(written)
    output = run(project, monkeypatch, str(written(server)))
    assert "shown with everything around it" in output
    assert project.completions == 20
    assert leaks(project, output) == []
    if written is with_query:  # each was sent all the same
        assert {h["Authorization"] for h in server.headers} == {f"Bearer {KEY}"}
        assert all(QUERY in query for query in server.queries)
    else:
        basic = b64encode(f"me:{PASSWORD}".encode()).decode()
        assert {h["Authorization"] for h in server.headers} == {f"Basic {basic}"}


@pytest.mark.parametrize("written", [with_query, pytest.param(with_user, marks=pytest.mark.slow)])
def test_a_key_that_a_401_echoes_is_taken_out(
    project: Project, server: Server, monkeypatch: pytest.MonkeyPatch, written: object
) -> None:
    assert callable(written)
    server.key = "another"
    output = run(project, monkeypatch, str(written(server)))
    assert "status 401 (Incorrect API key provided: " in output
    assert "give a valid key in MY_KEY, which is set" in output
    assert leaks(project, output) == []


@pytest.mark.slow
def test_a_server_that_fails_and_echoes_is_logged_without_secrets(
    project: Project, server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    echo = json.dumps({"error": {"message": f"no luck with {KEY} {QUERY}"}})
    server.faults.extend([Fault(500, echo)] * 3)
    output = run(project, monkeypatch, with_query(server))
    assert "status 500 (no luck with *** ***); asking again" in output
    assert leaks(project, output) == []


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ('url = "', 'url = "ftp://me:{p}@nowhere/?key={q}", "'),
        ('url = "', 'url = 5\nsystem = "'),
        ('key_env = "MY_KEY"', 'key_env = "{k}"'),
        ('engine = "openai"', 'engine = "scripted"'),
    ],
    ids=["an address of another kind", "no address", "the key itself as a name", "another engine"],
)
def test_a_mistake_in_the_file_is_told_without_its_secrets(
    project: Project, monkeypatch: pytest.MonkeyPatch, old: str, new: str
) -> None:
    monkeypatch.setenv("MY_KEY", KEY)
    changed = TOML.replace(old, new.format(p=PASSWORD, q=QUERY, k=KEY))
    if "ftp:" in changed:
        changed = changed.replace('url = "', 'url = ["').replace('/v1"', '/v1"]')
    project.write(changed.format(url=f"http://me:{quote(PASSWORD)}@127.0.0.1:9/v1"), FAILING)
    result = project.run_apart(*LOUD)
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    assert said(result, r"safety\.toml: ")
    assert not [form for form in FORMS if form in result.stdout.str() + result.stderr.str()]


def test_a_key_that_is_none_is_told_by_the_name_of_its_variable(
    project: Project, server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MY_KEY", f"{KEY}\nX-More: 1")
    project.write(TOML.format(url=server.url), FAILING)
    result = project.run_apart(*LOUD)
    assert said(result, "the environment variable MY_KEY does not hold a key")
    assert not [form for form in FORMS if form in result.stdout.str() + result.stderr.str()]
    assert not server.asked


def test_only_a_queries_credential_may_change_without_the_address_becoming_another(
    project: Project, server: Server
) -> None:
    def completions(query: str) -> int:
        project.write(TOML.format(url=f"{server.url}?{query}"), FAILING)
        project.run()
        return project.completions

    assert completions("api-key=one-secret&deployment=blue") == 20
    assert completions("api-key=two-secret&deployment=blue") == 20
    assert completions("api-key=two-secret&deployment=green") == 40
    assert Path(project.path / "reports/safety.db").read_bytes().count(b"two-secret") == 0
