"""Wiring of the plugin's tests: projects that a scripted model answers in."""

import signal

import pytest

from fixtures.projects import project
from fixtures.records import passed, recorded

__all__ = ["passed", "project", "recorded"]


@pytest.fixture(scope="session", autouse=True)
def _interruptible() -> None:
    """Heed Ctrl-C in runs that tests interrupt, where a shell started the tests in the background.

    A shell without job control ignores it for what it puts there, and children inherit that.
    """
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(autouse=True)
def _lean(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Inner runs leave out plugins that no test of ours needs and that take seconds to start."""
    if "pytester" in request.fixturenames:
        request.getfixturevalue("pytester")  # it forgets the variable when it is set up
        monkeypatch.setenv("PYTEST_ADDOPTS", "-p no:hypothesispytest -p no:anyio")
    for variable in ("CI", "BUILD_NUMBER"):  # pytest shows summary lines whole where these are set
        monkeypatch.delenv(variable, raising=False)
