"""Wiring of the tests that open reports in a browser: `visit(url, width=1280, dark=False)`."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest

from fixtures.browser import browser, visit

__all__ = ["browser", "visit"]


def pytest_collection_modifyitems(items: Sequence[pytest.Item]) -> None:
    """Every test of this folder needs a browser and says so."""
    for item in items:
        if item.path.is_relative_to(Path(__file__).parent):
            item.add_marker(pytest.mark.browser)
