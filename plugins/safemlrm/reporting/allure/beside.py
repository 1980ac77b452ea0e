"""What a run leaves beside its Allure results: the environment and the categories of what went wrong."""

from __future__ import annotations

import platform
from importlib.metadata import PackageNotFoundError, version
from importlib.resources import files
from pathlib import Path

from safemlrm.config import Config
from safemlrm.reporting.outcome import Outcome
from safemlrm.reporting.summary import write_whole

CATEGORIES = "categories.json"
LIBRARIES = ("pytest-safemlrm", "pytest", "torch", "transformers", "vllm")


def write_beside(folder: Path, outcome: Outcome, config: Config, *, replay: bool) -> None:
    """Write environment.properties and categories.json into a folder of Allure results.

    A categories.json in the reports folder wins over ours. Raises `SafemlrmError` where nothing can
    be written.
    """
    text = "".join(
        f"{escaped(key)}={escaped(value, key=False)}\n"
        for key, value in environment(outcome, config, replay=replay).items()
    )
    write_whole(folder / "environment.properties", text)
    own = config.reports_path / CATEGORIES
    ours = files("safemlrm.reporting.allure") / CATEGORIES
    write_whole(folder / CATEGORIES, (own if own.is_file() else ours).read_text("utf-8"))


def environment(outcome: Outcome, config: Config, *, replay: bool) -> dict[str, str]:
    """Return what the verdicts rest on: names, digests and versions, no path, host or key.

    Libraries are looked up and not imported; a replay asked no model, so that its own say nothing.
    """
    gate, contract = config.gate, outcome.contract
    found = {f"model.{name}": each.digest[:12] for name, each in outcome.identities.items()}
    found["judge"] = f"{gate.judge} ({contract.digest[:24]})" if contract else gate.judge
    found["profile"] = config.profile or "none"
    found["seed"] = str(gate.seed)
    found["unsafe_at"] = f"{gate.unsafe_at} in the {config.limits.channel}"
    found["attach"] = config.report.attach
    found["python"] = platform.python_version()
    found["answers"] = "replayed from the store" if replay else "asked, or found in the store"
    for name in LIBRARIES[: 2 if replay else None]:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found


def escaped(text: str, *, key: bool = True) -> str:
    """Write a key or a value so that a .properties file has it on one line, whatever it holds."""
    special = "\\=:#! " if key else "\\"
    return "".join(
        f"\\{sign}" if sign in special else sign if " " <= sign <= "~" else _unicode(sign)
        for sign in text.strip()
    )


def _unicode(sign: str) -> str:
    units = sign.encode("utf-16-be", "surrogatepass")
    return "".join(f"\\u{units[at : at + 2].hex()}" for at in range(0, len(units), 2))
