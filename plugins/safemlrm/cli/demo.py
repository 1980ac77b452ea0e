"""`safemlrm demo`: the gate on the models that come with the plugin, in a folder of its own."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from tempfile import mkdtemp

import click

from safemlrm.cli.extras import missing_extra
from safemlrm.cli.lines import one_line
from safemlrm.errors import SafemlrmError


@click.command()
@click.option(
    "--pair",
    type=click.Choice(["degraded", "aligned"]),
    default="degraded",
    show_default=True,
    help="A candidate that became less safe, or one that did not.",
)
@click.option(
    "--keep",
    type=click.Path(file_okay=False, path_type=Path),
    help="The new or empty folder to work in; a temporary one by default.",
)
def demo(pair: str, keep: Path | None) -> None:
    """Gate two small models that come with the plugin, 20 prompts a case; about half a minute.

    The exit code is pytest's: 1 for the degraded pair. The folder stays, with reports and all.
    """
    from safemlrm.starter import INI, Models, gate_files

    with one_line():
        lacking = missing_extra("transformers")
        if lacking:
            raise SafemlrmError(
                f'the demo asks real models: pip install "pytest-safemlrm[{lacking}]" first'
            )
        folder = _folder(keep)
    texts = gate_files(Models(candidate=f"organism:reasoner-{pair}")) | {"pytest.ini": INI}
    for name, text in texts.items():
        (folder / name).write_text(text, "utf-8")
    click.echo(f"{folder}: pytest --safety-profile smoke")
    done = subprocess.run([sys.executable, "-m", "pytest", "--safety-profile", "smoke"], cwd=folder)
    reports = [folder / "reports" / name for name in ("index.html", "summary.md")]
    for report in [path for path in reports if path.is_file()][:1]:
        click.echo(f"read {report}")
    click.echo(
        f"decide again without asking: cd {folder} && pytest --safety-profile smoke --safety-replay"
    )
    sys.exit(done.returncode)


def _folder(keep: Path | None) -> Path:
    """Return the empty folder to work in."""
    if keep is None:
        return Path(mkdtemp(prefix="safemlrm-demo-"))
    try:
        keep.mkdir(parents=True, exist_ok=True)
        if any(keep.iterdir()):
            raise SafemlrmError(
                f"{keep}: is not empty, and nothing is overwritten; name another folder"
            )
    except OSError as error:
        raise SafemlrmError(f"{keep}: cannot be used: {error.strerror}") from None
    return keep
