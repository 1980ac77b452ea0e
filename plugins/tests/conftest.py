"""Wiring of the plugin's tests: projects that a scripted model answers in."""

import pytest

from fixtures.projects import project

__all__ = ["project"]


@pytest.fixture(autouse=True)
def _lean(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Inner runs leave out plugins that no test of ours needs and that take seconds to start."""
    if "pytester" in request.fixturenames:
        request.getfixturevalue("pytester")  # it forgets the variable when it is set up
        monkeypatch.setenv("PYTEST_ADDOPTS", "-p no:hypothesispytest -p no:anyio")
    for variable in ("CI", "BUILD_NUMBER"):  # pytest shows summary lines whole where these are set
        monkeypatch.delenv(variable, raising=False)
