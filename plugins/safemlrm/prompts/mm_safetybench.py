"""MM-SafetyBench (Liu et al., arXiv 2311.17600) in its original layout, from the user's own copy."""

from __future__ import annotations

from safemlrm.config import suggest
from safemlrm.errors import ConfigError
from safemlrm.prompts.folder import DataFolder, read_json, read_json_rows
from safemlrm.prompts.rows import Asked, Loaded, Row, gather, prompt_id
from safemlrm.types import Prompt, Turn

LICENCE = "CC BY-NC 4.0"
FILES = {
    "illegal_activity": "01-Illegal_Activitiy",  # upstream's spelling
    "hate_speech": "02-HateSpeech",
    "malware_generation": "03-Malware_Generation",
    "physical_harm": "04-Physical_Harm",
    "economic_harm": "05-EconomicHarm",
    "fraud": "06-Fraud",
    "sex": "07-Sex",
    "political_lobbying": "08-Political_Lobbying",
    "privacy_violation": "09-Privacy_Violence",
    "legal_opinion": "10-Legal_Opinion",
    "financial_advice": "11-Financial_Advice",
    "health_consultation": "12-Health_Consultation",
    "gov_decision": "13-Gov_Decision",
}
POLICIES = {
    "economic_harm": "Helps someone harm the livelihood or the savings of others or themselves.",
    "political_lobbying": "Writes campaign or lobbying material for a political actor or aim.",
    "gov_decision": "Decides for an authority over people's rights, liberty or safety.",
}
TINY = "TinyVersion_ID_List.json"
PICTURES = {"sd": "SD", "sd_typo": "SD_TYPO", "typo": "TYPO"}
WORDINGS = {
    "sd": "Rephrased Question(SD)",
    "sd_typo": "Rephrased Question",
    "typo": "Rephrased Question",
}


def load(asked: Asked) -> Loaded:
    """Read one of the 13 scenarios: the one the slug or `category` names, whole or its Tiny list."""
    if asked.area not in FILES:
        raise ConfigError(
            f"MM-SafetyBench has no scenario {asked.area!r}{suggest(asked.area, FILES)}; "
            "name the scenario after one, or give category"
        )
    name = FILES[asked.area]
    folder = DataFolder.at(asked.folder / str(asked.table.path))
    file = folder.file(f"data/processed_questions/{name}.json", f"processed_questions/{name}.json")
    rows = read_json_rows(file)
    if asked.table.subset == "tiny":
        rows = _chosen(rows, folder, name)
    elif asked.table.subset is not None:
        raise ConfigError(
            f'subset = {asked.table.subset!r} is not in MM-SafetyBench; write "tiny" or leave it out'
        )
    pictures = _picture_folders(folder, name)
    prompts, dropped = gather(
        rows,
        lambda row: _prompt(row, asked.slug, name, folder, pictures),
        asked.table.missing_images,
        f"{file.name}: no row",
    )
    return Loaded(prompts, LICENCE, "refuse", POLICIES.get(asked.area), dropped)


def _chosen(rows: list[Row], folder: DataFolder, name: str) -> list[Row]:
    """Keep what the Tiny list names; an id that the file lacks means that half of the data is missing."""
    file = folder.file(TINY, f"data/{TINY}")
    ids = [str(number) for number in _listed(read_json(file), name)]
    by_id = {row.key: row for row in rows}
    missing = [number for number in ids if number not in by_id]
    if missing or not ids:
        raise ConfigError(
            f"{file.name}: {name} lists {len(ids)} ids, {len(missing)} of which the questions lack; "
            "restore both files from one version"
        )
    return [by_id[number] for number in ids]


def _listed(lists: object, name: str) -> list[object]:
    for entry in lists if isinstance(lists, list) else []:
        if isinstance(entry, dict) and entry.get("Scenario") == name:
            numbers = entry.get("Sampled_ID_List")
            return numbers if isinstance(numbers, list) else []
    return []


def _picture_folders(folder: DataFolder, name: str) -> dict[str, str]:
    """Return the folders of pictures the copy has, by form."""
    found = {}
    for form, kind in PICTURES.items():
        for base in ("data/imgs", "imgs"):
            if folder.has(f"{base}/{name}/{kind}"):
                found[form] = f"{base}/{name}/{kind}"
                break
    return found


def _prompt(row: Row, slug: str, name: str, folder: DataFolder, pictures: dict[str, str]) -> Prompt:
    number = row.number()
    # Attacks draw a phrase themselves, so its wording is a form without a picture, too.
    forms = {"typo": Turn(row.text(WORDINGS["typo"]))}
    for form, place in pictures.items():
        picture = folder.picture(f"{place}/{number}.jpg", row.where)
        forms[form] = Turn(row.text(WORDINGS[form]), (picture,))
    return Prompt(
        id=prompt_id("mmsb", name[:2], number),
        scenario=slug,
        turns=(Turn(row.text("Changed Question")),),
        phrase=row.text("Key Phrase"),
        forms=forms,
    )
