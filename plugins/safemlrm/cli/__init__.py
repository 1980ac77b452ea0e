"""The `safemlrm` command: what is done outside a test run, a file a command."""

from __future__ import annotations

import click

from safemlrm.cli.accept import accept
from safemlrm.cli.audit import audit
from safemlrm.cli.channels import channels
from safemlrm.cli.compare import compare
from safemlrm.cli.demo import demo
from safemlrm.cli.imports import imports
from safemlrm.cli.init import init
from safemlrm.cli.measure import measure
from safemlrm.cli.prompts import prompts
from safemlrm.cli.store import store
from safemlrm.cli.tune import tune
from safemlrm.cli.verify import verify


@click.group()
@click.version_option(package_name="pytest-safemlrm")
def main() -> None:
    """Start a gate, measure, accept, suggest limits, audit the judge; the gate itself is `pytest`."""


main.add_command(init)
main.add_command(demo)
main.add_command(prompts)
main.add_command(measure)
main.add_command(accept)
main.add_command(tune)
main.add_command(store)
main.add_command(audit)
main.add_command(imports)
main.add_command(channels)
main.add_command(verify)
main.add_command(compare)
