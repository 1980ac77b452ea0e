"""What every command starts from: safety.toml, and what pytest would add to it by hooks."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import redirect_stderr, redirect_stdout
from io import StringIO
from pathlib import Path

from safemlrm.config import Config, load_config, read_weights
from safemlrm.errors import ConfigError
from safemlrm.extension import Extensions, defended
from safemlrm.matrix import Matrix, build_matrix


def open_matrix(
    file: str, profile: str | None, models: Iterable[str] = ()
) -> tuple[Config, Matrix]:
    """Read safety.toml and build its matrix as a test run would, one with these `--safety-model`.

    Raises `ConfigError` for every mistake in them and in the conftest.py files.
    """
    weights = read_weights("--model", models, Path.cwd())
    config = load_config(Path(file), profile, weights=weights)
    extensions = extensions_of(config.folder)
    config = defended(config, extensions)
    return config, build_matrix(config, extensions)


def extensions_of(folder: Path) -> Extensions:
    """Return what hooks add where pytest is started on a folder.

    pytest itself finds the folder's settings, plugins and conftest.py files, and stops there.
    """
    import pytest
    from pluggy import PluginValidationError

    from safemlrm.extension import gather

    class Ask:
        """Asks in place of running tests."""

        def __init__(self) -> None:
            self.found: Extensions | None = None
            self.mistake = ""

        @pytest.hookimpl(tryfirst=True)
        def pytest_cmdline_main(self, config: pytest.Config) -> int:
            """Everything is loaded now and nothing was collected yet."""
            try:
                self.found = gather(config.pluginmanager)
            except ConfigError as error:
                self.mistake = str(error)
            return 0

    ask, said = Ask(), StringIO()
    # Rewriting asserts is for tests, and would warn that this package is imported already.
    arguments = ["--assert=plain", "-p", "safemlrm.plugin", str(folder)]
    with redirect_stdout(said), redirect_stderr(said):
        try:
            pytest.main(arguments, plugins=[ask])
        except PluginValidationError as error:
            ask.mistake = " ".join(str(error).split())
        except SystemExit:
            ask.mistake = (
                f"{folder}: a conftest.py or a plugin ended the process while it was loaded"
            )
    if ask.found is None:
        raise ConfigError(ask.mistake or _complaint(said.getvalue(), folder))
    return ask.found


def _complaint(said: str, folder: Path) -> str:
    """Return what pytest wrote of a start that failed as one line: what it loaded, and the error."""
    lines = [line.removeprefix("E ").strip() for line in said.splitlines() if line.strip()]
    usage = [line for line in lines if "error: " in line]
    if usage or not lines:
        return f"{folder}: pytest cannot start here: {usage[0] if usage else 'it does not say why'}"
    return lines[0] if len(lines) == 1 else f"{lines[0].rstrip('.')}: {lines[-1]}"
