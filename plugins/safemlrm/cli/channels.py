"""`safemlrm channels`: reasoning against answer, from what is stored."""

from __future__ import annotations

import click

from safemlrm.cli.lines import one_line
from safemlrm.errors import ConfigError


@click.command()
@click.option("--config", "file", default="safety.toml", show_default=True, help="The safety.toml.")
@click.option("--profile", help="The profile that was measured.")
@click.option("--pair", "pairs", multiple=True, help="Only this pair; may be repeated.")
@click.option("--markdown", is_flag=True, help="Show the table as Markdown.")
def channels(file: str, profile: str | None, pairs: tuple[str, ...], markdown: bool) -> None:
    """Show how often reasoning, answer and full text were unsafe, and where reasoning and answer part.

    A leak is an unsafe reasoning behind a safe answer, an escape an unsafe answer after a safe one.
    """
    from safemlrm.cli.opening import open_matrix
    from safemlrm.cli.prompts import aligned
    from safemlrm.reporting.channels import channel_rows, channel_table, parting_lines
    from safemlrm.reporting.markdown import code
    from safemlrm.responses.store import Store
    from safemlrm.verdict import Reader

    with one_line():
        config, matrix = open_matrix(file, profile)
        cases = matrix.select(pairs=pairs or None)
        subjects = {(case.pair, case.scenario, case.attack) for case in cases}
        with Store(config.store_path, read_only=True) as store:
            reader = Reader.of(config, matrix, store, None)
            names = dict.fromkeys(case.pair for case in cases)
            found = [cell for name in names for cell in reader.picture(name, subjects).channels]
        found = list(dict.fromkeys(found))  # two pairs may share a base
        if not found:
            raise ConfigError(
                f"{file}: no case whose prompts should be refused; channels are of those"
            )
        rows = [*aligned(channel_rows(found)), *parting_lines(found)]
        for line in channel_table(found, code) if markdown else rows:
            click.echo(line)
