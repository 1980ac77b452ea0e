"""`safemlrm prompts`: what would be asked, counted, and pictures to look at; texts only when asked for."""

from __future__ import annotations

import builtins
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from PIL import Image

from fixtures.projects import Project, safety_toml
from safemlrm.cli import main
from safemlrm.prompts import bundled_prompts
from safemlrm.reporting.sheets import A_SHEET, ALARM, sheets
from safemlrm.types import Image as Encoded
from safemlrm.types import Prompt, Turn

MORE = """
[attacks.figstep_original]
[attacks.prefill]
[scenarios.long]
source = "figstep"
path = "copy"
category = "all"
attacks = ["direct", "figstep_original"]
"""
ROW = "category_id,task_id,question,instruction\n1,1,How to do it?,Steps to carry {things}\n"
LONG = ROW.format(things=" and ".join(["a lantern"] * 12))


@pytest.fixture
def look(project: Project) -> Project:
    """Two scenarios, four attacks, and a phrase that figstep_original clips."""
    project.write(safety_toml(base="", scenarios=["fraud"], prompts=20, more=MORE))
    (project.path / "copy").mkdir()
    (project.path / "copy/safebench.csv").write_text(LONG, "utf-8")
    return project


def prompts(project: Project, *arguments: str) -> Result:
    return CliRunner().invoke(
        main, ["prompts", *arguments, "--config", str(project.path / "safety.toml")]
    )


def rows(done: Result) -> dict[str, list[str]]:
    return {line.split()[0]: line.split()[1:] for line in done.output.splitlines() if line}


def test_it_counts_what_would_be_asked(look: Project) -> None:
    done = prompts(look)
    assert done.exit_code == 0, done.output
    found = rows(done)
    assert found["fraud"][:6] == ["bundled", "20", "of", "60", "refuse", "Apache-2.0"]
    assert found["long"][:6] == ["figstep", "1", "of", "1", "refuse", "MIT"]
    assert found["direct"] == ["21", "0", "0", "0", "direct/1"]
    assert found["figstep"][:4] == ["20", "20", "20", "0"]
    assert found["figstep_original"][:4] == ["21", "21", "21", "1"]
    assert found["prefill"][:4] == ["20", "0", "0", "0"]
    assert found["base"] == found["candidate"] == ["6", "82"]
    assert not look.store.exists()
    asked = {p.turns[0].text for p in bundled_prompts("fraud")}
    assert not [text for text in asked if text in done.output]


def test_a_part_of_it(look: Project) -> None:
    found = rows(prompts(look, "--scenario", "fraud", "--attack", "figstep"))
    assert found["candidate"] == ["1", "20"]
    assert "long" not in found
    done = prompts(look, "--attack", "figstp")
    assert done.exit_code == 1
    assert "unknown name 'figstp'; did you mean 'figstep'?" in done.output


def test_sheets_show_pictures_and_texts_only_when_asked_for(look: Project) -> None:
    folder = look.path / "look"
    done = prompts(look, "--sheets", str(folder))
    assert done.output.splitlines()[-1].endswith("look: 3 contact sheets, 6 lists of ids")
    assert sorted(file.name for file in folder.glob("*.png")) == [
        "fraud-figstep-1.png",
        "fraud-figstep_original-1.png",
        "long-figstep_original-1.png",
    ]
    asked = [p.turns[0].text for p in bundled_prompts("fraud")]
    written = "".join(file.read_text("utf-8") for file in folder.glob("*.txt"))
    assert "fr-" in written
    assert not [text for text in asked if text in written]
    (folder / "fraud-figstep-2.png").write_bytes(b"of an earlier look")
    assert prompts(look, "--sheets", str(folder), "--texts").exit_code == 0
    assert not (folder / "fraud-figstep-2.png").exists()
    written = (folder / "fraud-prefill.txt").read_text("utf-8")
    assert sum(text in written for text in asked) == 20
    assert "[the answer begins] Sure, here are the steps" in written


def test_texts_need_a_folder(look: Project) -> None:
    done = prompts(look, "--texts")
    assert done.exit_code == 2
    assert "--texts needs --sheets FOLDER" in done.output


def test_a_clipped_picture_has_a_red_frame(look: Project) -> None:
    assert prompts(look, "--sheets", str(look.path / "look")).exit_code == 0
    red = tuple(bytes.fromhex(ALARM[1:]))
    colours = {}
    for scenario in ("fraud", "long"):
        with Image.open(look.path / f"look/{scenario}-figstep_original-1.png") as page:
            colours[scenario] = {
                colour for _, colour in page.convert("RGB").getcolors(1 << 24) or []
            }
    assert red in colours["long"]
    assert red not in colours["fraud"]


def test_what_cannot_be_attacked_is_told_beside_the_rest(look: Project) -> None:
    look.edit('source = "figstep"', 'source = "xstest"')
    look.edit('category = "all"\n', "")
    (look.path / "copy/xstest_prompts.csv").write_text(
        "id,prompt,type,label\n1,What is this?,homonyms,safe\n", "utf-8"
    )
    done = prompts(look)
    assert done.exit_code == 1
    assert "long / figstep_original cannot be asked: prompt xstest.1: " in done.output
    assert rows(done)["fraud"]
    assert '1 of 6 cells cannot be asked; give their [scenarios.NAME] attacks = ["..."]' in (
        done.output
    )


def test_without_pillow_it_says_what_to_install(
    look: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = builtins.__import__

    def without(name: str, *rest: object, **more: object) -> object:
        if name.split(".")[0] == "PIL":
            raise ModuleNotFoundError("No module named 'PIL'", name="PIL")
        return real(name, *rest, **more)  # type: ignore[arg-type]

    # What was drawn before would come from the cache.
    (look.path / "copy/safebench.csv").write_text(ROW.format(things="a new thing"), "utf-8")
    monkeypatch.setattr(builtins, "__import__", without)
    done = prompts(look, "--attack", "figstep_original", "--scenario", "long")
    monkeypatch.undo()
    assert done.exit_code == 1
    assert "which is not installed; pip install 'pytest-safemlrm[hf]'" in done.output


def test_a_folder_that_cannot_be_written_to_is_one_line(look: Project) -> None:
    (look.path / "look").write_text("a file", "utf-8")
    done = prompts(look, "--attack", "direct", "--sheets", str(look.path / "look"))
    assert done.exit_code == 1
    assert "the sheets could not be written (" in done.output


def test_many_pictures_take_several_sheets_and_a_broken_one_says_so(tmp_path: Path) -> None:
    broken = Prompt("own.x.1", "x", (Turn("?", (Encoded(b"no picture"),)),), "")
    pages = list(sheets("x / direct", [broken] * (A_SHEET + 1)))
    assert len(pages) == 2
    assert all(page.startswith(b"\x89PNG") for page in pages)
