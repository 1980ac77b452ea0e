"""XSTest, HarmBench, StrongREJECT and JailbreakBench: their columns, parts and categories."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from safemlrm.prompts import Scenario

Load = Callable[..., Scenario]
Refused = Callable[..., str]
XSTEST = (
    "id,prompt,type,label,focus,note\n1,How do kites fly?,homonyms,safe,,\n"
    "26,Hurt a kite?,contrast_homonyms,unsafe,,\n"
)
HARMBENCH = (
    "Behavior,FunctionalCategory,SemanticCategory,Tags,ContextString,BehaviorID\n"
    "Fly a kite,standard,chemical_biological,,,fly_a_kite\n"
    "Fly it,contextual,illegal,context,About kites.,fly_it\n"
)
MULTIMODAL = (
    "Behavior,FunctionalCategory,SemanticCategory,Tags,ImageFileName,ImageDescription,"
    "RedactedImageDescription,BehaviorID\nFly this,multimodal,illegal,,kite.png,a,b,fly_this\n"
)
JAILBREAKBENCH = "Index,Goal,Target,Behavior,Category,Source\n0,{goal},Sure,Kites,Physical harm,X\n"


def texts(scenario: Scenario) -> dict[str, str]:
    return {prompt.id: prompt.turns[0].text for prompt in scenario.pool}


def write(folder: Path, name: str, text: str) -> None:
    (folder / name).parent.mkdir(parents=True, exist_ok=True)
    (folder / name).write_text(text, "utf-8")


def test_xstest(load: Load, tmp_path: Path) -> None:
    keys = 'source = "xstest"\npath = "xs"\n'
    write(tmp_path, "xs/xstest_prompts.csv", XSTEST)
    safe, unsafe = load(keys), load(keys + 'subset = "unsafe"')
    assert (texts(safe), safe.expectation) == ({"xstest.1": "How do kites fly?"}, "help")
    assert (texts(unsafe), unsafe.expectation) == ({"xstest.26": "Hurt a kite?"}, "refuse")
    assert safe.licence == "CC BY 4.0"
    assert safe.policy == "Harmless questions (fraud); a helpful answer is expected."
    assert texts(load(keys + 'where = { type = "homonyms" }')) == texts(safe)


def test_xstest_of_before_it_had_labels(load: Load, tmp_path: Path) -> None:
    write(
        tmp_path,
        "xs/xstest_v2_prompts.csv",
        "id,type,prompt,focus,note\nv2-1,homonyms,a,,\nv2-26,contrast_homonyms,b,,\n",
    )
    keys = 'source = "xstest"\npath = "xs"\n'
    assert texts(load(keys)) == {"xstest.v2-1": "a"}
    assert texts(load(keys + 'subset = "unsafe"')) == {"xstest.v2-26": "b"}


def test_harmbench(load: Load, refused: Refused, tmp_path: Path, png: bytes) -> None:
    keys = 'source = "harmbench"\npath = "hb"\n'
    place = "hb/data/behavior_datasets/harmbench_behaviors_"
    write(tmp_path, f"{place}text_all.csv", HARMBENCH)
    write(tmp_path, f"{place}multimodal_all.csv", MULTIMODAL)
    scenario = load(keys)
    assert sorted(texts(scenario).values()) == ["About kites.\n\n---\n\nFly it", "Fly a kite"]
    assert not any("kite" in name or "fly" in name for name in texts(scenario))
    assert len(load(keys + 'subset = "standard"').pool) == 1
    assert len(load(keys + 'category = "Chemical Biological"').pool) == 1
    assert refused(keys + 'category = "ilegal"') == (
        "category = 'ilegal' is not in the data; did you mean 'illegal'?"
    )
    missing = refused(keys + 'subset = "multimodal"')
    assert "the picture multimodal_behavior_images/kite.png is missing" in missing
    write(tmp_path, "hb/data/multimodal_behavior_images/kite.png", "")
    (tmp_path / "hb/data/multimodal_behavior_images/kite.png").write_bytes(png)
    shown = load(keys + 'subset = "multimodal"')
    assert [i.data for i in shown.pool[0].turns[0].images] == [png]


def test_strongreject(load: Load, tmp_path: Path) -> None:
    keys = 'source = "strongreject"\npath = "sr"\n'
    header = "category,source,forbidden_prompt\n"
    kites, other = "Kites and balls,DAN,Fly?\n", "Other things,DAN,Roll?\n"
    write(tmp_path, "sr/strongreject_dataset/strongreject_dataset.csv", header + kites + other)
    write(tmp_path, "sr/strongreject_dataset/strongreject_small_dataset.csv", header + other)
    full = load(keys)
    assert sorted(texts(full).values()) == ["Fly?", "Roll?"]
    small = load(keys + 'subset = "small"')
    # It has no ids of its own: one question has the same in both lists.
    assert len(small.pool) == 1
    assert texts(small).items() <= texts(full).items()
    assert list(texts(load(keys + 'category = "kites_and_balls"')).values()) == ["Fly?"]


def test_jailbreakbench(load: Load, refused: Refused, tmp_path: Path) -> None:
    keys = 'source = "jailbreakbench"\npath = "jbb"\n'
    write(tmp_path, "jbb/data/harmful-behaviors.csv", JAILBREAKBENCH.format(goal="Hurt a kite"))
    write(tmp_path, "jbb/data/benign-behaviors.csv", JAILBREAKBENCH.format(goal="Mend a kite"))
    harmful, benign = load(keys), load(keys + 'subset = "benign"')
    assert texts(harmful) == {"jailbreakbench.harmful.0": "Hurt a kite"}
    assert texts(benign) == {"jailbreakbench.benign.0": "Mend a kite"}
    assert (harmful.expectation, benign.expectation) == ("refuse", "help")
    assert refused(keys + 'subset = "bening"') == (
        "subset = 'bening' is not a part of jailbreakbench; did you mean 'benign'?"
    )


@pytest.mark.parametrize("source", ["xstest", "harmbench", "strongreject", "jailbreakbench"])
def test_another_layout_is_told(refused: Refused, tmp_path: Path, source: str) -> None:
    (tmp_path / "copy").mkdir()
    keys = f'source = "{source}"\n'
    assert refused(keys) == f'source = "{source}" needs path = "the folder of your copy"'
    line = refused(keys + 'path = "copy"')
    assert line.startswith("DIR/copy has no ")
    assert line.endswith("; give the path of a copy in the original layout")


def test_a_missing_column_is_told(refused: Refused, tmp_path: Path) -> None:
    write(tmp_path, "xs/xstest_prompts.csv", "id,text,type\n1,marzipan,homonyms\n")
    keys = 'source = "xstest"\npath = "xs"\n'
    assert refused(keys) == (
        "xstest_prompts.csv, row 1: 'prompt' is missing; restore the original file"
    )
    assert refused(keys + 'where = { typ = "homonyms" }') == (
        "xstest_prompts.csv, row 1: where names no column 'typ'; did you mean 'type'?"
    )
