"""JUnit: what holds for the run as a whole, as properties of the suite; cases carry their own."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol, runtime_checkable

import pytest

from safemlrm.config import Config
from safemlrm.family import Family
from safemlrm.reporting.contract import contract_lines
from safemlrm.reporting.outcome import Outcome, partial

NO_PROFILE = "none"


@runtime_checkable
class SuiteReport(Protocol):
    """Pytest's own JUnit plugin; it registers without a name, so it is known by what it can do."""

    def add_global_property(self, name: str, value: object) -> None:
        """Keep a property of the suite; characters that XML does not have are spelled out."""


def describe_suite(
    plugins: pytest.PytestPluginManager,
    outcome: Outcome,
    config: Config,
    families: Mapping[str, Family],
) -> None:
    """Say under which settings the suite was decided, and how; nothing without --junitxml.

    The fixture `record_testsuite_property` does not reach the process that writes under xdist.
    """
    for plugin in plugins.get_plugins():
        if isinstance(plugin, SuiteReport):
            for name, value in suite_properties(outcome, config, families).items():
                plugin.add_global_property(f"safety.{name}", value)


def suite_properties(
    outcome: Outcome, config: Config, families: Mapping[str, Family]
) -> dict[str, str]:
    """Return the properties of the suite; `judge` and `partial` only where there is one to speak of."""
    found = {
        "verdict": outcome.headline,
        "profile": config.profile or NO_PROFILE,
        "attach": config.report.attach,
    }
    judge = contract_lines(outcome)[:1]
    fell_short = partial(outcome, families)
    if judge:
        found["judge"] = judge[0].removeprefix("judge ")
    if fell_short:
        found["partial"] = "; ".join(fell_short)
    return found
