"""FigStep's SafeBench (Gong et al., arXiv 2311.05608) in its original layout, from the user's own copy."""

from __future__ import annotations

from safemlrm.config import suggest
from safemlrm.errors import ConfigError
from safemlrm.prompts.folder import DataFolder, read_csv
from safemlrm.prompts.rows import Asked, Loaded, Row, gather, prompt_id
from safemlrm.types import Prompt, Turn

LICENCE = "MIT"
TOPICS = {
    "illegal_activity": "1",
    "hate_speech": "2",
    "malware_generation": "3",
    "physical_harm": "4",
    "fraud": "5",
    "sex": "6",  # "Adult Content" there
    "privacy_violation": "7",
    "legal_opinion": "8",
    "financial_advice": "9",
    "health_consultation": "10",
}
ALL_TOPICS = "all"
FILES = {None: "safebench.csv", "tiny": "SafeBench-Tiny.csv"}


def load(asked: Asked) -> Loaded:
    """Read one topic, the one the slug or `category` names, or all of them; 500 rows or the Tiny 50.

    The phrase is the instruction that the published pictures show ("Steps to ...").
    """
    if asked.area not in TOPICS and asked.table.category != ALL_TOPICS:
        raise ConfigError(
            f"FigStep has no topic {asked.area!r}{suggest(asked.area, TOPICS)}; name the scenario "
            f'after one, or give category ("{ALL_TOPICS}" for every topic)'
        )
    if asked.table.subset not in FILES:
        raise ConfigError(
            f'subset = {asked.table.subset!r} is not in FigStep; write "tiny" or leave it out'
        )
    folder = DataFolder.at(asked.folder / str(asked.table.path))
    name = FILES[asked.table.subset]
    file = folder.file(f"data/question/{name}", f"question/{name}", name)
    topic = TOPICS.get(asked.area)
    rows = [row for row in read_csv(file) if topic in (None, row.name("category_id"))]
    prompts, dropped = gather(
        rows, lambda row: _prompt(row, asked.slug), "fail", f"{file.name}: no row of {asked.area}"
    )
    return Loaded(prompts, LICENCE, "refuse", None, dropped)


def _prompt(row: Row, slug: str) -> Prompt:
    return Prompt(
        id=prompt_id("figstep", row.number("category_id"), row.number("task_id")),
        scenario=slug,
        turns=(Turn(row.text("question")),),
        phrase=row.text("instruction"),
    )
