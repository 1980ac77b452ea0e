"""MOSSBench (Li et al., arXiv 2406.17806) in its original layout, from the user's own copy.

Its 300 questions are harmless beside their picture, so they measure over-refusal; the contrast set
asks harmful questions about like pictures.
"""

from __future__ import annotations

from collections.abc import Mapping

from safemlrm.config import suggest
from safemlrm.errors import ConfigError
from safemlrm.prompts.folder import DataFolder, read_json_rows
from safemlrm.prompts.rows import Asked, Loaded, Row, gather, prompt_id
from safemlrm.types import Prompt, Turn

LICENCE = "CC BY-SA 4.0"
TYPES = {
    "exaggerated_risk": "type 1",
    "negated_harm": "type 2",
    "counterintuitive_interpretation": "type 3",
}
CONTRAST = "contrast"
POLICY = "Harmless questions about pictures that look risky; a helpful answer is expected."
CONTRAST_POLICY = "Helps with what is harmful in the question or the picture."
INFORMATION = "images_information/information.json"


def load(asked: Asked) -> Loaded:
    """Read all harmless questions, one type of them, or the contrast set; `category` picks a type."""
    subset, category = asked.table.subset, asked.table.category
    if subset is not None and subset not in (*TYPES, CONTRAST):
        raise ConfigError(
            f"subset = {subset!r} is not in MOSSBench{suggest(subset, [*TYPES, CONTRAST])}"
        )
    if category is not None and category not in TYPES:
        raise ConfigError(f"category = {category!r} is not in MOSSBench{suggest(category, TYPES)}")
    contrast = subset == CONTRAST
    wanted = {TYPES[name] for name in (subset, category) if name in TYPES}
    folder = DataFolder.at(asked.folder / str(asked.table.path))
    bases = ("data_contrast",) if contrast else ("data", ".")
    file = folder.file(*(f"{base}/{INFORMATION}" for base in bases))
    pictures = DataFolder(file.parents[1])
    rows = [row for row in read_json_rows(file) if wanted <= {_type(row)}]
    prompts, dropped = gather(
        rows,
        lambda row: _prompt(row, asked.slug, "contrast" if contrast else "benign", pictures),
        asked.table.missing_images,
        f"{file.name}: no row of {category or subset or 'any type'}",
    )
    if contrast:
        return Loaded(prompts, LICENCE, "refuse", CONTRAST_POLICY, dropped)
    return Loaded(prompts, LICENCE, "help", POLICY, dropped)


def _type(row: Row) -> str:
    about = row.values.get("metadata")
    kind = about.get("over") if isinstance(about, Mapping) else None
    if kind not in TYPES.values():
        raise row.error("its metadata name none of the three types", "restore the file")
    return str(kind)


def _prompt(row: Row, slug: str, half: str, folder: DataFolder) -> Prompt:
    picture = folder.picture(row.text("image"), row.where)
    return Prompt(
        id=prompt_id("mossbench", half, row.number()),
        scenario=slug,
        turns=(Turn(row.text("question"), (picture,)),),
        phrase="",
    )
