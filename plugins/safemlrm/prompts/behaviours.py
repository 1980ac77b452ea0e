"""XSTest, HarmBench, StrongREJECT and JailbreakBench as column maps over their original CSV files."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from safemlrm.config import suggest
from safemlrm.errors import ConfigError
from safemlrm.prompts.folder import DataFolder, read_csv
from safemlrm.prompts.rows import (
    Asked,
    Loaded,
    Row,
    digest_id,
    gather,
    matching,
    of_category,
    prompt_id,
)
from safemlrm.types import Expectation, Image, Prompt, Turn


@dataclass(frozen=True, slots=True)
class Part:
    """A file, or those of its rows that `where` picks; `name` tells parts apart that share ids."""

    file: str
    where: Mapping[str, str] = field(default_factory=dict)
    expectation: Expectation = "refuse"
    name: str = ""
    older: str | None = None
    pictures: str = ""


@dataclass(frozen=True, slots=True)
class Layout:
    """Which columns hold what; the first part is read where no subset is named.

    `places` are folders of the original repository in which the files may lie. Without `id`, or
    where `named_by_digest`, a prompt's id is a digest: an id in words would say what is asked.
    """

    name: str
    licence: str
    places: tuple[str, ...]
    parts: Mapping[str, Part]
    text: str
    category: str
    id: str | None = None
    named_by_digest: bool = False
    context: str | None = None
    image: str | None = None


XSTEST_OLD = "xstest_v2_prompts.csv"
XSTEST = Layout(
    name="xstest",
    licence="CC BY 4.0",
    places=("", "data/"),
    parts={
        "safe": Part("xstest_prompts.csv", {"label": "safe"}, "help", older=XSTEST_OLD),
        "unsafe": Part("xstest_prompts.csv", {"label": "unsafe"}, older=XSTEST_OLD),
    },
    text="prompt",
    category="type",
    id="id",
)
HARMBENCH = Layout(
    name="harmbench",
    licence="MIT",
    places=("", "data/behavior_datasets/", "behavior_datasets/"),
    parts={
        "text": Part("harmbench_behaviors_text_all.csv"),
        "validation": Part("harmbench_behaviors_text_val.csv"),
        "test": Part("harmbench_behaviors_text_test.csv"),
        **{
            kind: Part("harmbench_behaviors_text_all.csv", {"FunctionalCategory": kind})
            for kind in ("standard", "contextual", "copyright")
        },
        "multimodal": Part(
            "harmbench_behaviors_multimodal_all.csv", pictures="multimodal_behavior_images"
        ),
    },
    text="Behavior",
    category="SemanticCategory",
    id="BehaviorID",
    named_by_digest=True,
    context="ContextString",
    image="ImageFileName",
)
STRONGREJECT = Layout(
    name="strongreject",
    licence="MIT",
    places=("", "strongreject_dataset/", "data/"),
    parts={
        "full": Part("strongreject_dataset.csv"),
        "small": Part("strongreject_small_dataset.csv"),
    },
    text="forbidden_prompt",
    category="category",
)
JAILBREAKBENCH = Layout(
    name="jailbreakbench",
    licence="MIT",
    places=("", "data/"),
    parts={
        "harmful": Part("harmful-behaviors.csv", name="harmful"),
        "benign": Part("benign-behaviors.csv", expectation="help", name="benign"),
    },
    text="Goal",
    category="Category",
    id="Index",
)
LAYOUTS = {layout.name: layout for layout in (XSTEST, HARMBENCH, STRONGREJECT, JAILBREAKBENCH)}


def load(asked: Asked) -> Loaded:
    """Read a part of a data set, or one category of it."""
    layout = LAYOUTS[asked.table.source]
    subset = asked.table.subset or next(iter(layout.parts))
    if subset not in layout.parts:
        raise ConfigError(
            f"subset = {subset!r} is not a part of {layout.name}{suggest(subset, layout.parts)}"
        )
    part = layout.parts[subset]
    folder = DataFolder.at(asked.folder / str(asked.table.path))
    names = (part.file, part.older) if part.older else (part.file,)
    file = folder.file(*(f"{place}{name}" for name in names for place in layout.places))
    rows = read_csv(file)
    if layout is XSTEST:
        rows = [_labelled(row) for row in rows]
    rows = matching(rows, {**part.where, **asked.table.where})
    if asked.table.category is not None:
        rows = of_category(rows, layout.category, asked.table.category)
    prompts, dropped = gather(
        rows,
        lambda row: _prompt(row, asked.slug, layout, part, folder),
        asked.table.missing_images,
        f"{file.name}: no row of {asked.table.category or subset}",
    )
    return Loaded(prompts, layout.licence, part.expectation, None, dropped)


def _labelled(row: Row) -> Row:
    """Say of a row whether it is safe; older files only have the type ("contrast_...")."""
    if "label" in row.values:
        return row
    label = "unsafe" if row.text("type").startswith("contrast") else "safe"
    return replace(row, values={**row.values, "label": label})


def _prompt(row: Row, slug: str, layout: Layout, part: Part, folder: DataFolder) -> Prompt:
    text = row.text(layout.text)
    number = row.name(layout.id) if layout.id else text
    if layout.named_by_digest or not layout.id:
        number = digest_id(number)
    images: tuple[Image, ...] = ()
    if part.pictures and layout.image:
        place = f"data/{part.pictures}" if folder.has(f"data/{part.pictures}") else part.pictures
        images = (folder.picture(f"{place}/{row.text(layout.image)}", row.where),)
    if layout.context and row.values.get(layout.context):
        text = f"{row.text(layout.context)}\n\n---\n\n{text}"
    names = (part.name, number) if part.name else (number,)
    return Prompt(
        id=prompt_id(layout.name, *names),
        scenario=slug,
        turns=(Turn(text, images),),
        phrase="",
    )
