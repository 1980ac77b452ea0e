"""`safemlrm init` and `safemlrm demo`: an empty folder becomes a gate that runs."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml  # type: ignore[import-untyped]  # no stubs come with it
from click.testing import CliRunner, Result

from fixtures import fake_vllm
from fixtures.projects import REPOSITORY, Folder
from fixtures.servers import Body, Server, message, text_of
from safemlrm.cli import extras, main
from safemlrm.config import load_config
from safemlrm.engines.scripted import HELP
from safemlrm.prompts import bundled_prompts

CALLER = ".github/workflows/safety.yml"
DIRECT = ("--safety-profile", "smoke", "-m", "direct")


@pytest.fixture(autouse=True)
def _here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def call(*arguments: str) -> Result:
    return CliRunner().invoke(main, ["init", *arguments])


def gate(folder: Path, *arguments: str) -> Folder:
    """Run the gate that was written as a user does; `output` says how it went."""
    made = Folder(folder)
    made.start(*arguments).wait()
    return made


def helpful(body: Body) -> dict[str, Any] | None:
    """Answer what is harmless, so that a model does not pass by refusing everything."""
    harmless = {prompt.turns[0].text for prompt in bundled_prompts("benign")}
    asked = text_of(body)
    return message(HELP.format(phrase=asked)) if asked in harmless else None


def names(folder: Path) -> set[str]:
    return {str(p.relative_to(folder)) for p in folder.rglob("*") if p.is_file()}


def test_it_writes_a_configuration_a_test_and_what_git_ignores(tmp_path: Path) -> None:
    done = call()
    assert done.exit_code == 0
    assert names(tmp_path) == {"safety.toml", "test_release.py", "pytest.ini", ".gitignore"}
    assert "reports/*\n!reports/baselines/" in (tmp_path / ".gitignore").read_text("utf-8")
    assert "pytest --safety-plan" in done.output
    config = load_config(tmp_path / "safety.toml")
    assert [model.path for model in config.models.values()] == [
        "organism:base",
        "organism:reasoner-aligned",
    ]


def test_twice_changes_nothing(tmp_path: Path) -> None:
    call()
    before = {name: (tmp_path / name).read_bytes() for name in names(tmp_path)}
    done = call("--engine", "vllm", "--github")
    assert done.exit_code == 1
    assert done.output == (
        "Error: safety.toml: is there already and stays as it is, so nothing was written; move it away, "
        "or name another folder\n"
    )
    assert {name: (tmp_path / name).read_bytes() for name in names(tmp_path)} == before


def test_what_is_there_stays(tmp_path: Path) -> None:
    (tmp_path / ".gitignore").write_text("dist\nreports/*", "utf-8")
    (tmp_path / "pyproject.toml").write_text("[tool.pytest.ini_options]\n", "utf-8")
    assert "wrote .gitignore" in call().output
    assert (tmp_path / ".gitignore").read_text("utf-8").splitlines() == [
        "dist",
        "reports/*",
        "!reports/baselines/",
        "!reports/audit.json",
    ]
    assert not (tmp_path / "pytest.ini").exists()
    for name in ("safety.toml", "test_release.py"):
        (tmp_path / name).unlink()
    assert "wrote .gitignore" not in call().output


def test_a_candidate_alone_has_no_limit_on_a_difference(tmp_path: Path) -> None:
    (tmp_path / "checkpoints/new").mkdir(parents=True)
    call("gate", "--candidate", "checkpoints/new")
    config = load_config(tmp_path / "gate/safety.toml")
    assert config.pairs["release"].base is None
    assert config.limits.reasoning_tax is None
    assert config.limits.asr is not None
    assert config.models["candidate"].path == "../checkpoints/new"


def test_names_are_written_as_they_are_meant(tmp_path: Path) -> None:
    name = 'a "quoted" \\ name\x7f'
    call("--candidate", name, "--base", "org/base")
    config = load_config(tmp_path / "safety.toml")
    assert [model.path for model in config.models.values()] == ["org/base", name]


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (["--engine", "openai"], "--engine openai and --url ADDRESS go together"),
        (["--url", "http://localhost/v1"], "--engine openai and --url ADDRESS go together"),
        (["--base", "org/base"], "name the model to release with --candidate"),
        (
            ["--engine", "openai", "--url", "http://localhost/v1"],
            "name the model to release with --candidate",
        ),
    ],
)
def test_what_does_not_go_together_is_told(
    tmp_path: Path, arguments: list[str], complaint: str
) -> None:
    done = call(*arguments)
    assert done.exit_code == 2
    assert complaint in done.output
    assert names(tmp_path) == set()


def test_the_workflow_lies_where_the_repository_begins(tmp_path: Path) -> None:
    (tmp_path / ".git").mkdir()
    assert call("gates/vlm", "--engine", "vllm", "--github").exit_code == 0
    job = yaml.safe_load((tmp_path / CALLER).read_text("utf-8"))["jobs"]["gate"]
    assert job["with"]["folder"] == "gates/vlm"
    assert job["with"]["install"].startswith("pytest-safemlrm[vllm]==")
    called = job["uses"].removeprefix("./")
    written = (tmp_path / called).read_bytes()
    assert written == (REPOSITORY / called).read_bytes()


def test_an_engine_that_is_not_installed_is_the_first_step(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(extras, "find_spec", lambda name: None)
    assert 'next:\n  pip install "pytest-safemlrm[hf]"\n' in call().output


def test_the_gate_of_a_server_runs(tmp_path: Path) -> None:
    with Server(choice=helpful) as server:
        models = ("--candidate", "new", "--base", "old")
        assert call("--engine", "openai", "--url", server.url, *models).exit_code == 0
        made = gate(tmp_path, *DIRECT)
        assert {body["model"] for body in server.prompts} == {"new", "old"}
    assert "8 passed" in made.output.read_text("utf-8")
    assert set(made.decisions.values()) == {"PASS"}


@pytest.mark.slow
def test_the_gate_of_local_models_runs(tmp_path: Path) -> None:
    call()
    made = gate(tmp_path, *DIRECT)
    assert "8 passed" in made.output.read_text("utf-8")
    assert set(made.decisions.values()) <= {"PASS", "INCONCLUSIVE noise"}


@pytest.mark.slow
def test_the_gate_over_vllm_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    call("gate", "--engine", "vllm")
    made = Folder(tmp_path / "gate")
    for organism in ("base", "reasoner-aligned"):  # there is no GPU, and the stand-in draws nothing
        line = f'path = "organism:{organism}"\n'
        made.edit(line, line + 'devices = ["cpu"]\ndtype = "float32"\ntemperature = 0\n')
    fake_vllm.install(tmp_path / "stand_in")
    places = [str(tmp_path / "stand_in"), str(REPOSITORY)]
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(places))
    gate(made.path, *DIRECT)
    assert "8 passed" in made.output.read_text("utf-8")
    assert set(made.decisions.values()) <= {"PASS", "INCONCLUSIVE noise"}


# -- demo


@pytest.mark.slow
@pytest.mark.parametrize(("pair", "code"), [("degraded", 1), ("aligned", 0)])
def test_the_demo_ends_as_its_gate_does(tmp_path: Path, pair: str, code: int) -> None:
    done = subprocess.run(
        [
            str(Path(sys.executable).with_name("safemlrm")),
            "demo",
            "--pair",
            pair,
            "--keep",
            "shown",
        ],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == code, done.stdout
    shown = Folder(tmp_path / "shown")
    assert ("FAIL" in shown.decisions.values()) == bool(code)
    assert f"read {Path('shown/reports')}" in done.stdout


def test_the_demo_overwrites_nothing(tmp_path: Path) -> None:
    (tmp_path / "mine").write_text("", "utf-8")
    done = CliRunner().invoke(main, ["demo", "--keep", "."])
    assert done.exit_code == 1
    assert done.output == (
        "Error: .: is not empty, and nothing is overwritten; name another folder\n"
    )
    assert names(tmp_path) == {"mine"}


def test_the_demo_says_what_it_needs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(extras, "find_spec", lambda name: None)
    done = CliRunner().invoke(main, ["demo", "--keep", "shown"])
    assert done.exit_code == 1
    assert 'pip install "pytest-safemlrm[hf]" first' in done.output
    assert not (tmp_path / "shown").exists()
