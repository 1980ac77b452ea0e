"""The workflows: sound by two linters, and a pull request does not choose how it is judged."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml  # type: ignore[import-untyped]  # no stubs come with it

from safemlrm.starter import workflow_files

ROOT = Path(__file__).parents[3]
OWN = sorted((ROOT / ".github/workflows").glob("*.yml"))
REUSABLE = ".github/workflows/safety-gate.yml"
GATES = "Gate"
TAKES = "Take what decides from the base branch"
FORGETS = "Forget what the checkout says of earlier runs"
COMMENTS = "Write the comment, or write it anew"


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """What `safemlrm init --github` writes, and this repository's own."""
    folder = tmp_path_factory.mktemp("repository")
    for name, text in workflow_files("gates/new one", "pytest-safemlrm[hf]==1.0").items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text, "utf-8")
    return [*OWN, *sorted((folder / ".github/workflows").glob("*.yml"))]


def run(*command: str | Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run([*map(str, command)], capture_output=True, text=True, check=False)


def test_they_follow_the_schema_of_github(written: list[Path]) -> None:
    schema = ("--builtin-schema", "vendor.github-workflows")
    done = run(sys.executable, "-m", "check_jsonschema", *schema, *written)
    assert done.returncode == 0, done.stdout


def test_they_have_no_known_weakness(written: list[Path]) -> None:
    zizmor = Path(sys.executable).with_name("zizmor")
    done = run(zizmor, "--offline", "--no-progress", "--min-severity", "medium", *written)
    assert done.returncode == 0, done.stdout


def load(file: Path) -> dict[str, Any]:
    data: dict[str, Any] = yaml.safe_load(file.read_text("utf-8"))
    return data


def test_every_action_is_pinned_by_its_commit(written: list[Path]) -> None:
    used = [
        step["uses"]
        for file in written
        for job in load(file)["jobs"].values()
        for step in job.get("steps", ())
        if "uses" in step
    ]
    assert len(used) > 8
    assert [action for action in used if len(action.partition("@")[2]) != 40] == []


def test_what_is_called_is_given_what_it_takes(written: list[Path]) -> None:
    reusable: dict[object, Any] = yaml.safe_load((ROOT / REUSABLE).read_text("utf-8"))
    inputs = reusable[True]["workflow_call"]["inputs"]  # `on` is true in YAML 1.1
    jobs = [job for file in written for job in load(file)["jobs"].values()]
    calls = [job for job in jobs if job.get("uses") == f"./{REUSABLE}"]
    assert len(calls) == 2
    assert all(job["with"].keys() <= inputs.keys() for job in calls)


def steps() -> Mapping[str, Mapping[str, Any]]:
    jobs = load(ROOT / REUSABLE)["jobs"].values()
    return {step["name"]: step for job in jobs for step in job["steps"] if "name" in step}


def inputs() -> Mapping[str, Mapping[str, Any]]:
    keys: Mapping[Any, Any] = load(ROOT / REUSABLE)  # YAML 1.1 reads the key `on` as true
    found: Mapping[str, Mapping[str, Any]] = keys[True]["workflow_call"]["inputs"]
    return found


@pytest.fixture
def pull(tmp_path: Path) -> Path:
    """A pull request's checkout, with that of its base branch inside."""
    for place, limit in (("", "0.9"), (".safety-base/", "0.1")):
        for name in ("safety.toml", "test_release.py", "reports/baselines/r1.json"):
            file = tmp_path / f"{place}gate" / name
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(f"{name} {limit}", "utf-8")
    (tmp_path / "gate/conftest.py").write_text("raise SystemExit(0)", "utf-8")
    (tmp_path / "gate/pytest.toml").write_text("addopts = ['--safety-observe']", "utf-8")
    (tmp_path / "gate/model.py").write_text("the model's own code", "utf-8")
    (tmp_path / "temporary").mkdir()
    return tmp_path


def take(pull: Path) -> subprocess.CompletedProcess[str]:
    """Run the step as the workflow does."""
    environment = {
        "PATH": os.environ["PATH"],
        "CONFIG": "safety.toml",
        "PROTECTED": inputs()["protected"]["default"],
        "CHECKOUT": str(pull / ".safety-base"),
        "BASE": str(pull / ".safety-base/gate"),
        "RUNNER_TEMP": str(pull / "temporary"),
    }
    return subprocess.run(
        ["bash", "--noprofile", "--norc", "-eo", "pipefail", "-c", steps()[TAKES]["run"]],
        cwd=pull / "gate",
        env=environment,
        capture_output=True,
        text=True,
        check=True,
    )


def test_a_pull_request_is_judged_by_the_base_branch(pull: Path) -> None:
    done = take(pull)
    texts = {
        str(path.relative_to(pull)): path.read_text("utf-8")
        for path in pull.rglob("*")
        if path.is_file()
    }
    assert texts == {
        "gate/safety.toml": "safety.toml 0.1",
        "gate/test_release.py": "test_release.py 0.1",
        "gate/reports/baselines/r1.json": "reports/baselines/r1.json 0.1",
        "gate/model.py": "the model's own code",
        "temporary/candidates.toml": "safety.toml 0.9",
    }
    told = ["safety.toml", "conftest.py", "pytest.toml", "test_release.py", "reports/baselines"]
    assert [line.split()[0] for line in done.stdout.splitlines()] == [
        f"::warning::{name}" for name in told
    ]


def test_what_is_the_same_is_not_told(pull: Path) -> None:
    for name in ("safety.toml", "test_release.py", "reports/baselines/r1.json"):
        (pull / "gate" / name).write_bytes((pull / ".safety-base/gate" / name).read_bytes())
    (pull / "gate/conftest.py").unlink()
    (pull / "gate/pytest.toml").unlink()
    assert take(pull).stdout == ""


def test_the_first_gate_decides_by_itself_and_says_so(pull: Path) -> None:
    (pull / ".safety-base/gate/safety.toml").unlink()
    assert "this first gate decides by the pull request's own" in take(pull).stdout
    assert (pull / "gate/safety.toml").read_text("utf-8") == "safety.toml 0.9"
    assert not (pull / "temporary/candidates.toml").exists()


PYTHON = """#!/usr/bin/env bash
printf '%s\\n' "$@" > asked
"""


def gated(folder: Path, **settings: str) -> list[str]:
    """Run the step that gates as the workflow does, and return what it has python do."""
    (folder / "python").write_text(PYTHON, "utf-8")
    (folder / "python").chmod(0o755)
    environment = {
        "PATH": f"{folder}:{os.environ['PATH']}",
        "RUNNER_TEMP": str(folder),
        "CONFIG": "safety.toml",
        **{name: "" for name in steps()[GATES]["env"]},
        **settings,
    }
    subprocess.run(
        ["bash", "--noprofile", "--norc", "-eo", "pipefail", "-c", steps()[GATES]["run"]],
        cwd=folder,
        env=environment,
        check=True,
    )
    return (folder / "asked").read_text("utf-8").splitlines()


PLAIN = ["-P", "-m", "pytest", "--safety-config", "safety.toml"]


def test_the_gate_is_given_what_was_asked_for_and_no_more(tmp_path: Path) -> None:
    assert gated(tmp_path) == PLAIN
    (tmp_path / "candidates.toml").touch()
    given = gated(tmp_path, PROFILE="smoke", PAIR="r1 or r2", MODEL="candidate=./last")
    assert given == [
        *PLAIN,
        *("--safety-profile", "smoke"),
        *("-m", "r1 or r2"),
        *("--safety-candidates", str(tmp_path / "candidates.toml")),
        "--safety-model=candidate=./last",
    ]


@pytest.mark.parametrize(
    ("model", "words"),
    [
        ("a=org/x@main\nb=./y z\n", ["a=org/x@main", "b=./y z"]),
        ("\n  a=./x  \n\n", ["a=./x"]),
        ("$(touch no) `touch no`; touch no", ["$(touch no) `touch no`; touch no"]),
        ("--safety-observe", ["--safety-observe"]),
        (r"a=.\x *", [r"a=.\x *"]),
    ],
)
def test_a_model_is_a_word_of_the_command_and_nothing_else(
    tmp_path: Path, model: str, words: list[str]
) -> None:
    assert gated(tmp_path, MODEL=model) == [*PLAIN, *(f"--safety-model={word}" for word in words)]
    assert not (tmp_path / "no").exists()


def test_no_expression_is_part_of_a_shell_s_command() -> None:
    bodies = [step["run"] for step in steps().values() if "run" in step]
    assert len(bodies) > 5
    assert [body for body in bodies if "${{" in body] == []
    assert steps()[GATES]["env"]["MODEL"] == "${{ inputs.model }}"


def test_the_one_that_init_writes_is_this_repository_s(written: list[Path]) -> None:
    [own, copy] = [file for file in written if file.name == Path(REUSABLE).name]
    assert copy.read_text("utf-8") == own.read_text("utf-8")


GH = """#!/usr/bin/env bash
case "$*" in
*--paginate*) echo "$EARLIER" ;;
*) echo "$*" > asked; cp comment.md sent ;;
esac
"""


each_comment = pytest.mark.parametrize(
    ("earlier", "asked"), [("", "--method POST here/comments"), ("7", "--method PATCH all/7")]
)


def comment(folder: Path, earlier: str) -> tuple[str, str]:
    """Run the step that comments as the workflow does: what it asks of GitHub, and the comment."""
    (folder / "gh").write_text(GH, "utf-8")
    (folder / "gh").chmod(0o755)
    environment = {
        "PATH": f"{folder}:{os.environ['PATH']}",
        "COMMENTS": "here/comments",
        "COMMENT": "all",
        "MARKER": "<!-- mine -->",
        "ENDED": "failure",
        "COMMIT": "c0ffee",
        "RUN": "https://example.org/runs/1",
        "EARLIER": earlier,
    }
    assert environment.keys() - {"PATH", "EARLIER"} == steps()[COMMENTS]["env"].keys() - {
        "GH_TOKEN"
    }
    subprocess.run(
        ["bash", "-e", "-c", steps()[COMMENTS]["run"]], cwd=folder, env=environment, check=True
    )
    return (folder / "asked").read_text("utf-8"), (folder / "sent").read_text("utf-8")


@each_comment
def test_it_keeps_one_comment(tmp_path: Path, earlier: str, asked: str) -> None:
    (tmp_path / "downloaded").mkdir()
    (tmp_path / "downloaded/summary.md").write_text("é" * 40_000, "utf-8")
    done, sent = comment(tmp_path, earlier)
    assert asked in done
    assert sent.startswith("<!-- mine -->\né")
    assert 30_000 < len(sent) <= 65_536


@each_comment
@pytest.mark.parametrize("downloaded", [False, True], ids=["no reports", "reports without it"])
def test_what_passed_before_does_not_stand_where_the_gate_did_not_decide(
    tmp_path: Path, earlier: str, asked: str, downloaded: bool
) -> None:
    if downloaded:
        (tmp_path / "downloaded").mkdir()
    done, sent = comment(tmp_path, earlier)
    assert asked in done
    assert sent == (
        "<!-- mine -->\n# Safety gate: NOT DECIDED\n\n"
        "The gate of commit c0ffee ended before it decided (its job: failure). "
        "[The run](https://example.org/runs/1) says why.\n"
    )


def test_the_comment_is_written_though_there_are_no_reports() -> None:
    download, write = load(ROOT / REUSABLE)["jobs"]["comment"]["steps"]
    assert download["continue-on-error"] is True
    assert write["env"]["ENDED"] == "${{ needs.gate.result }}"
    assert write["env"]["COMMIT"] == "${{ github.event.pull_request.head.sha }}"


def test_a_summary_of_the_checkout_speaks_for_no_run(tmp_path: Path) -> None:
    (tmp_path / "reports").mkdir()
    (tmp_path / "reports/summary.md").write_text("# Safety gate: passed", "utf-8")
    (tmp_path / "reports/categories.json").touch()
    environment = {"PATH": os.environ["PATH"], "REPORTS": "reports"}
    subprocess.run(
        ["bash", "-e", "-c", steps()[FORGETS]["run"]], cwd=tmp_path, env=environment, check=True
    )
    assert [file.name for file in (tmp_path / "reports").iterdir()] == ["categories.json"]
    named = [step.get("name") for step in load(ROOT / REUSABLE)["jobs"]["gate"]["steps"]]
    assert named.index(TAKES) < named.index(FORGETS) < named.index("Install")


def test_no_key_for_forks_and_no_rights_for_their_code() -> None:
    workflow = load(ROOT / REUSABLE)
    assert workflow["permissions"] == {}
    assert workflow["jobs"]["gate"]["permissions"] == {"contents": "read"}
    assert workflow["jobs"]["comment"]["permissions"] == {"pull-requests": "write"}
    key = steps()["Gate"]["env"]["OPENAI_API_KEY"]
    assert key == ("${{ !github.event.pull_request.head.repo.fork && secrets.api-key || '' }}")
    assert (ROOT / REUSABLE).read_text("utf-8").count("secrets.") == 1
