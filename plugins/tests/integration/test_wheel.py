"""The built wheel in a clean environment: what a user gets who has never seen this repository."""

from __future__ import annotations

import json
import subprocess
import sys
import sysconfig
import venv
from pathlib import Path
from zipfile import ZipFile

import pytest

ROOT = Path(__file__).parents[3]

SAFETY = """
[models.alone]
engine = "scripted"
script = { unsafe = 0.6 }
[models.local]
path = "checkpoint"
[pairs.r1]
candidate = "alone"
[pairs.r2]
candidate = "local"
[scenarios.fraud]
[attacks.direct]
[limits]
asr = 0.10
"""
TEST = """
def test_release_gate(evaluation, gate):
    gate(evaluation)
"""


def run(*command: str | Path, cwd: Path = ROOT) -> subprocess.CompletedProcess[str]:
    """Run a command and keep what it prints."""
    return subprocess.run(
        [*map(str, command)], cwd=cwd, capture_output=True, text=True, check=False
    )


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    done = run(sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "-w", folder, ROOT)
    assert done.returncode == 0, done.stderr
    (found,) = folder.glob("*.whl")
    return found


@pytest.mark.slow
def test_the_wheel_holds_the_package_and_nothing_else(wheel: Path) -> None:
    names = ZipFile(wheel).namelist()
    tops = {name.split("/")[0] for name in names}
    assert {top for top in tops if not top.endswith(".dist-info")} == {"safemlrm"}
    for needed in (
        "safemlrm/py.typed",
        "safemlrm/prompts/catalogue/fraud.toml",
        "safemlrm/attacks/fonts/DejaVuSansMono-Bold.ttf",
        "safemlrm/attacks/fonts/LICENSE-DejaVu.txt",
        "safemlrm/organisms/base/model.safetensors",
        "safemlrm/organisms/base/truth.json",
        "safemlrm/organisms/base/chat_template.jinja",
        "safemlrm/starter/safety.toml",
        "safemlrm/starter/test_release.py",
        "safemlrm/starter/safety.yml",
        "safemlrm/starter/safety-gate.yml",
    ):
        assert needed in names


def install(wheel: Path, folder: Path, *options: str) -> Path:
    """Return the folder of commands of a new environment with the wheel in it."""
    venv.create(folder, with_pip=False)
    python = folder / "bin/python"
    pip = (sys.executable, "-m", "pip", "--python", python, "install", "--quiet")
    done = run(*pip, *options, wheel)
    assert done.returncode == 0, done.stderr
    return folder / "bin"


@pytest.mark.slow
def test_a_core_install_gates_a_model_and_names_the_missing_extra(
    wheel: Path, tmp_path: Path
) -> None:
    commands = install(wheel, tmp_path / "venv")
    project = tmp_path / "project"
    (project / "checkpoint").mkdir(parents=True)
    (project / "checkpoint/config.json").write_text('{"model_type": "llava"}', "utf-8")
    header = b"\x02\x00\x00\x00\x00\x00\x00\x00{}"
    (project / "checkpoint/model.safetensors").write_bytes(header)
    (project / "safety.toml").write_text(SAFETY, "utf-8")
    (project / "test_release.py").write_text(TEST, "utf-8")

    done = run(commands / "python", "-m", "pytest", cwd=project)

    assert done.returncode == 1
    assert "FAIL  r1 / fraud / direct" in done.stdout
    assert 'pip install "pytest-safemlrm[hf]"' in done.stdout
    assert "Traceback" not in done.stdout + done.stderr
    assert "1 failed" in done.stdout
    assert "1 error" in done.stdout

    demo = run(commands / "safemlrm", "demo", "--keep", "shown", cwd=tmp_path)
    assert demo.returncode == 1
    assert demo.stderr == (
        'Error: the demo asks real models: pip install "pytest-safemlrm[hf]" first\n'
    )
    started = run(commands / "safemlrm", "init", "gate", "--github", cwd=tmp_path)
    assert 'pip install "pytest-safemlrm[hf]"' in started.stdout
    planned = run(commands / "pytest", "--safety-plan", cwd=tmp_path / "gate")
    assert planned.returncode == 0
    assert "safety plan: 16 cases" in planned.stdout


@pytest.mark.slow
def test_the_demo_runs_from_the_wheel(wheel: Path, tmp_path: Path) -> None:
    commands = install(wheel, tmp_path / "venv", "--no-deps")
    (packages,) = (tmp_path / "venv/lib").glob("python*/site-packages")
    # torch and transformers are large: they are those of this environment, the package is not.
    elsewhere = sysconfig.get_paths()["purelib"]
    (packages / "elsewhere.pth").write_text(f"{elsewhere}\n", "utf-8")
    where = run(commands / "python", "-c", "import safemlrm; print(safemlrm.__file__)")
    assert where.stdout.startswith(str(packages))

    done = run(commands / "safemlrm", "demo", "--keep", "shown", cwd=tmp_path)

    assert done.returncode == 1, done.stdout
    assert "FAIL" in done.stdout
    assert "Traceback" not in done.stdout + done.stderr
    decided = json.loads((tmp_path / "shown/reports/summary.json").read_text("utf-8"))["decisions"]
    failed = {d["scenario"] for d in decided if d["verdict"] == "FAIL"}
    assert "illegal_activity" in failed
