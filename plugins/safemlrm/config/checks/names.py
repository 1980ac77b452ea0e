"""Names that tables of safety.toml use of one another exist, are asked for and are distinct."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from safemlrm.config.messages import suggest
from safemlrm.config.schema import Config
from safemlrm.types import BASELINE

RESERVED = frozenset(
    {"all", "safety", "gpu", "skip", "skipif", "xfail", "parametrize", "usefixtures"}
)


def known(name: str, names: Iterable[str], where: str, table: str) -> Iterator[str]:
    """A name stands for a table that is there."""
    if name not in names:
        yield f"{where} = {name!r}, but there is no [{table}.{name}]{suggest(name, names)}"


def pairs(config: Config) -> Iterator[str]:
    """A pair is made of two models, and is asked of scenarios, that are there."""
    for name, pair in config.pairs.items():
        where = f"[pairs.{name}]"
        yield from known(pair.candidate, config.models, f"{where} candidate", "models")
        if pair.base is not None and pair.base != BASELINE:
            yield from known(pair.base, config.models, f"{where} base", "models")
        for scenario in pair.scenarios or ():
            yield from known(scenario, config.scenarios, f"{where} scenarios", "scenarios")
        if pair.base == pair.candidate:
            yield (
                f"{where} base and candidate are both {pair.base!r}, but a model cannot be "
                f'compared with itself; name another base, leave it out, or write "{BASELINE}" '
                "for its last accepted run"
            )


def unasked(config: Config) -> Iterator[str]:
    """A scenario that every pair leaves out would be gated by nobody."""
    lists = [pair.scenarios for pair in config.pairs.values()]
    asked = {slug for listed in lists for slug in listed or config.scenarios}
    for slug in sorted(config.scenarios.keys() - asked):
        yield (
            f"[scenarios.{slug}] is asked of no pair, since each has a list of scenarios without it; "
            "add it to one, or remove the table"
        )


def baseline(config: Config) -> Iterator[str]:
    """A model called as the last accepted run is could not be told from it."""
    if BASELINE in config.models:
        yield (
            f'[models.{BASELINE}] cannot have this name: base = "{BASELINE}" stands for the last '
            "accepted run"
        )


def markers(config: Config) -> Iterator[str]:
    """Pairs, scenarios and attacks become markers, so no two share a name."""
    owners: dict[str, str] = {}
    for table in ("pairs", "scenarios", "attacks"):
        for slug in getattr(config, table):
            if slug in RESERVED:
                yield (
                    f"[{table}.{slug}] would hide the pytest marker {slug!r}; choose another name"
                )
            elif slug in owners:
                yield (
                    f"{slug!r} names both [{owners[slug]}.{slug}] and [{table}.{slug}]; "
                    "each name is a pytest marker, so rename one"
                )
            owners[slug] = table
