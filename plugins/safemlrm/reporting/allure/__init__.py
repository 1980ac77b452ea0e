"""Allure: where a test is filed, what is attached to it, what the run leaves beside the results.

Nothing happens without allure-pytest, which is imported only where a run writes Allure results.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from safemlrm.reporting.allure.beside import write_beside

__all__ = ["file_results", "folder_of", "is_active", "write_beside"]


def folder_of(config: pytest.Config) -> Path | None:
    """Return where this run writes Allure results, None where it writes none."""
    if not config.pluginmanager.hasplugin("allure_pytest"):
        return None
    folder: str | None = config.getoption("allure_report_dir", None)
    return config.invocation_params.dir / folder if folder else None


def is_active(config: pytest.Config) -> bool:
    """Whether this run writes Allure results."""
    return folder_of(config) is not None


def file_results(config: pytest.Config, uid: str) -> None:
    """File the results of this process under pair, scenario and attack; nothing without Allure."""
    if not is_active(config):
        return
    import allure_commons

    from safemlrm.reporting.allure.filing import Filing

    filing = Filing(uid)
    config.pluginmanager.register(filing, "safemlrm.allure")
    allure_commons.plugin_manager.register(filing)
    config.add_cleanup(lambda: allure_commons.plugin_manager.unregister(filing))
