"""How every command speaks of its mistakes."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import click

from safemlrm.errors import SafemlrmError


@contextmanager
def one_line() -> Iterator[None]:
    """Show our own errors as one line; anything else is a defect and keeps its traceback."""
    try:
        yield
    except SafemlrmError as error:
        raise click.ClickException(str(error)) from None
