"""`safemlrm prompts`: what a configuration would ask, to look at before paying for it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import click

from safemlrm.cli.lines import one_line
from safemlrm.errors import SafemlrmError

if TYPE_CHECKING:
    from safemlrm.matrix import Matrix
    from safemlrm.types import Case, Prompt

DIGITS = 12
"""Characters of a digest that are shown."""


@dataclass(frozen=True, slots=True)
class Look:
    """A scenario under an attack: its attacked prompts, or why there are none."""

    scenario: str
    attack: str
    attacked: tuple[Prompt, ...] = ()
    shown: int = 0
    drawn: int = 0
    clipped: int = 0
    mistake: str = ""


@click.command()
@click.option("--config", "file", default="safety.toml", show_default=True, help="The safety.toml.")
@click.option("--profile", help="Overlay [profiles.NAME].")
@click.option("--scenario", "scenarios", multiple=True, help="Only this one; may be repeated.")
@click.option("--attack", "attacks", multiple=True, help="Only this one; may be repeated.")
@click.option(
    "--sheets", metavar="FOLDER", help="Write what would be asked there: pictures, ids, lengths."
)
@click.option("--texts", is_flag=True, help="Write the attacked texts, too, into FOLDER.")
def prompts(
    file: str,
    profile: str | None,
    scenarios: tuple[str, ...],
    attacks: tuple[str, ...],
    sheets: str | None,
    texts: bool,
) -> None:
    """List scenarios, attacks and models with what would be asked of them; nothing is asked.

    Texts are not shown unless --texts writes them into the folder of --sheets.
    """
    from safemlrm.cli.opening import open_matrix

    if texts and sheets is None:
        raise click.UsageError("--texts needs --sheets FOLDER to write the texts into")
    with one_line():
        config, matrix = open_matrix(file, profile)
        cases = matrix.select(scenarios=scenarios or None, attacks=attacks or None)
        # Cells that several pairs share are looked at once.
        cells = dict.fromkeys((case.scenario, case.attack) for case in cases)
        looks = [_look(matrix, *cell, config.gate.seed) for cell in cells]
        for table in (_scenarios(matrix, cells), _attacks(matrix, looks), _models(matrix, cases)):
            click.echo("\n".join([*aligned(table), ""]))
        if sheets is not None:
            _write(Path(sheets), looks, texts)
        wrong = [look for look in looks if look.mistake]
        for look in wrong:
            click.echo(f"{look.scenario} / {look.attack} cannot be asked: {look.mistake}")
        if wrong:
            raise SafemlrmError(
                f"{len(wrong)} of {len(looks)} cells cannot be asked; give their [scenarios.NAME] "
                'attacks = ["..."] without the attacks that do not fit'
            )


def _look(matrix: Matrix, scenario: str, attack: str, seed: int) -> Look:
    """Attack the prompts that are asked, and count the pictures; what cannot be attacked is told."""
    from safemlrm.attacks import clipped

    asked = matrix.scenarios[scenario].prompts
    try:
        attacked = tuple(matrix.attacks[attack].apply(prompt, seed) for prompt in asked)
    except ImportError as error:
        if error.name != "PIL":
            raise
        raise SafemlrmError(
            f"[attacks.{attack}] draws pictures with Pillow, which is not installed; "
            "pip install 'pytest-safemlrm[hf]'"
        ) from None
    except SafemlrmError as error:
        return Look(scenario, attack, mistake=str(error))
    own = {i.digest for p in asked for turn in (*p.turns, *p.forms.values()) for i in turn.images}
    images = [i.digest for p in attacked for turn in p.turns for i in turn.images]
    drawn = sum(digest not in own for digest in images)
    return Look(scenario, attack, attacked, len(images), drawn, sum(map(clipped, attacked)))


def _scenarios(matrix: Matrix, cells: Iterable[tuple[str, str]]) -> list[tuple[str, ...]]:
    from safemlrm.prompts import describe

    chosen = sorted({scenario for scenario, _ in cells})
    rows: list[tuple[str, ...]] = [
        ("scenario", "source", "asked", "expects", "licence", "digest", "left out")
    ]
    for about in describe(matrix.scenarios[slug] for slug in chosen):
        dropped = f"{about.dropped} without picture" if about.dropped else ""
        licence, digest = about.licence or "not stated", about.digest[:DIGITS]
        asked = f"{about.count} of {about.pool}"
        rows.append((about.slug, about.source, asked, about.expectation, licence, digest, dropped))
    return rows


def _attacks(matrix: Matrix, looks: Sequence[Look]) -> list[tuple[str, ...]]:
    rows: list[tuple[str, ...]] = [("attack", "prompts", "pictures", "drawn", "clipped", "digest")]
    for attack in dict.fromkeys(look.attack for look in looks):
        own = [look for look in looks if look.attack == attack]
        counts = (
            sum(len(look.attacked) for look in own),
            sum(look.shown for look in own),
            sum(look.drawn for look in own),
            sum(look.clipped for look in own),
        )
        rows.append((attack, *map(str, counts), matrix.attacks[attack].digest))
    return rows


def _models(matrix: Matrix, cases: Iterable[Case]) -> list[tuple[str, ...]]:
    from safemlrm.plan import build_plan

    plan = build_plan(matrix, cases)
    rows: list[tuple[str, ...]] = [("model", "cells", "prompts")]
    for model in plan.models:
        work = plan.of(model)
        rows.append((model, str(len(work)), str(sum(item.total for item in work))))
    return rows


def _write(folder: Path, looks: Iterable[Look], texts: bool) -> None:
    from safemlrm.reporting.sheets import write_sheets

    written = [
        path
        for look in looks
        if look.attacked
        for path in write_sheets(
            folder,
            f"{look.scenario}-{look.attack}",
            f"{look.scenario} / {look.attack}",
            look.attacked,
            texts=texts,
        )
    ]
    pictures = sum(path.suffix == ".png" for path in written)
    click.echo(f"{folder}: {pictures} contact sheets, {len(written) - pictures} lists of ids")


def aligned(rows: Sequence[tuple[str, ...]]) -> list[str]:
    """Return the rows in columns; numbers keep to the left like the rest."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return [
        "  ".join(f"{cell:<{width}}" for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in rows
    ]
