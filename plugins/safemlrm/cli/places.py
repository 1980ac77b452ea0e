"""Which cells of a store a configuration reads, and what they are."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import suppress
from pathlib import Path

from safemlrm.canary import canary_key
from safemlrm.cli.opening import extensions_of, open_matrix
from safemlrm.config import Config, load_config
from safemlrm.config.load import read_tables
from safemlrm.draws import FIRST_RESPONSE, FRESH, further
from safemlrm.errors import NotMeasured
from safemlrm.extension import NONE, defended
from safemlrm.judges import Transcription
from safemlrm.matrix import Matrix, build_matrix
from safemlrm.reading import Cells, settings_key
from safemlrm.responses.rows import Place, Seen
from safemlrm.responses.scoring import Scorer
from safemlrm.responses.store import Store
from safemlrm.rounds import index_key
from safemlrm.types import Cell, Identity

Opened = tuple[Config, Matrix]


def every_profile(file: str) -> list[Opened]:
    """Read safety.toml without a profile and with each; `ConfigError` for one that cannot be used.

    What hooks add is asked for once.
    """
    plain = open_matrix(file, None)
    profiles = read_tables(Path(file)).get("profiles", {})
    extensions = extensions_of(plain[0].folder) if profiles else NONE
    opened = [plain]
    for profile in sorted(profiles):
        config = defended(load_config(Path(file), profile), extensions)
        opened.append((config, build_matrix(config, extensions)))
    return opened


def places(opened: Iterable[Opened], seen: Iterable[Seen]) -> dict[str, Place]:
    """Return what each cell of the store is, for the models as they were seen, by the cell's key."""
    looks = {(s.model, s.identity.digest): s.identity for s in seen if s.identity.digest}
    return {
        key: place
        for config, matrix in opened
        for (model, _), identity in sorted(looks.items(), key=lambda look: look[0])
        if model in config.models
        for key, place in _of(model, identity, config, matrix)
    }


def _of(
    model: str, identity: Identity, config: Config, matrix: Matrix
) -> Iterator[tuple[str, Place]]:
    asks = {FIRST_RESPONSE: "first", **{draw: f"fresh {draw}" for draw in FRESH}}
    asks |= {draw: f"further {draw}" for draw in further(matrix.responses)}
    asked = dict.fromkeys((case.scenario, case.attack) for case in matrix.cases)
    seed, digest = config.gate.seed, identity.digest
    for scenario, attack in asked:
        for draw, ask in asks.items():
            key = index_key(Cell(model, scenario, attack), identity, matrix, seed, draw)
            yield key, Place(model, digest, scenario, attack, ask)
    for attack in dict.fromkeys(attack for _, attack in asked):
        key = canary_key(attack, identity, matrix, seed)
        yield key, Place(model, digest, "", attack, "canary")


def current(opened: Iterable[Opened], seen: Iterable[Seen], keep: int) -> list[Seen]:
    """Return the looks at the last `keep` versions of every model under its present settings."""
    wanted = {
        (name, settings_key(model)) for config, _ in opened for name, model in config.models.items()
    }
    found: dict[tuple[str, str], dict[str, Seen]] = {about: {} for about in wanted}
    for look in reversed(list(seen)):
        versions = found.get((look.model, look.settings))
        if versions is not None and look.identity.digest and len(versions) < keep:
            versions.setdefault(look.identity.digest, look)
    return [look for versions in found.values() for look in versions.values()]


def scorers(opened: Iterable[Opened], store: Store) -> dict[str, str]:
    """Return what scores the present configuration reads: the judge, and the models it judges so.

    A judge whose models the store has not met is left out: it has no scores there.
    """
    found: dict[str, dict[str, list[str]]] = {}
    for config, matrix in opened:
        cells = Cells(config, matrix, store, None)
        for name, model in sorted(config.models.items()):
            keys = {
                "legibility": Scorer.of(Transcription(), model.reasoning).key,
                "choice": cells.scorer(name, "choose").key,
            }
            with suppress(NotMeasured):
                keys[config.gate.judge] = cells.scorer(name).key
            for judge, key in keys.items():
                found.setdefault(key, {}).setdefault(judge, []).append(name)
    return {
        key: "; ".join(f"{judge} of {', '.join(names)}" for judge, names in by.items())
        for key, by in found.items()
    }
