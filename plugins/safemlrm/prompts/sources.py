"""Where prompts come from: the name of a source -> its loader and the keys it takes."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial

from safemlrm.config import suggest
from safemlrm.errors import ConfigError
from safemlrm.prompts import (
    behaviours,
    bundled,
    figstep,
    imported,
    mm_safetybench,
    mossbench,
    own,
    tables,
)
from safemlrm.prompts.library import FORMATS
from safemlrm.prompts.rows import Asked, Loaded
from safemlrm.types import Prompt

ALWAYS = frozenset({"source", "prompts", "attacks"})
SAID = frozenset({"policy", "expectation", "licence", "language"})
PICKED = frozenset({"columns", "where", "category", "missing_images"})


@dataclass(frozen=True, slots=True)
class Source:
    """A loader, the keys of [scenarios.NAME] it reads, and those it cannot do without."""

    load: Callable[[Asked], Loaded]
    takes: frozenset[str]
    needs: tuple[str, ...] = ()


def _own_copy(load: Callable[[Asked], Loaded], *takes: str) -> Source:
    return Source(load, SAID | {"path", "subset", "category", *takes}, ("path",))


SOURCES: Mapping[str, Source] = {
    "bundled": Source(bundled.load, frozenset()),
    "imported": Source(imported.load, SAID | {"path", "category"}, ("path",)),
    "mm_safetybench": _own_copy(mm_safetybench.load, "missing_images"),
    "figstep": _own_copy(figstep.load),
    "mossbench": _own_copy(mossbench.load, "missing_images"),
    **{name: _own_copy(behaviours.load, "where", "missing_images") for name in behaviours.LAYOUTS},
}
FILE = Source(tables.load_file, SAID | PICKED)
FOLDER = Source(tables.load_folder, SAID | PICKED)
HUB = Source(tables.load_hub, SAID | PICKED | {"revision", "split", "config_name"})


def load(asked: Asked, owned: Mapping[str, Sequence[Prompt]]) -> Loaded:
    """Return what the source has; `ConfigError` for a key it does not take and for one it needs.

    `owned` are the sources that hooks added.
    """
    source = _source(asked, owned)
    name = asked.table.source
    for key in sorted(asked.table.model_fields_set - source.takes - ALWAYS):
        raise ConfigError(f'{key} does not belong to source = "{name}"; leave it out')
    for key in source.needs:
        if getattr(asked.table, key) is None:
            raise ConfigError(f'source = "{name}" needs {key} = "the folder of your copy"')
    return source.load(asked)


def _source(asked: Asked, owned: Mapping[str, Sequence[Prompt]]) -> Source:
    name = asked.table.source
    if name in SOURCES:
        return SOURCES[name]
    if name in owned:
        return Source(partial(own.load, prompts=owned[name]), SAID)
    if name.startswith(tables.HUB):
        return HUB
    place = asked.folder / name
    if place.is_dir():
        return FOLDER
    if place.suffix in FORMATS:
        return FILE
    raise ConfigError(
        f"source = {name!r} is no data set, hf:ORG/NAME, {', '.join(FORMATS)} file, folder of "
        f"pictures, or name that a hook adds{suggest(name, {*SOURCES, *owned})}"
    )
