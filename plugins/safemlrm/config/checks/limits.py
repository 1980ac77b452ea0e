"""Limits can apply to something, and what they compare with is there."""

from __future__ import annotations

from collections.abc import Iterator
from fnmatch import fnmatchcase

from safemlrm.config.messages import suggest
from safemlrm.config.schema import METRICS, PAIR_METRICS, Config, Override


def limiting(config: Config, *metrics: str) -> list[str]:
    """Return which of the metrics some table of limits names."""
    tables = (config.limits, *config.limits.override)
    return [name for name in metrics if any(getattr(t, name) is not None for t in tables)]


def entropy(config: Config) -> Iterator[str]:
    """A trigger that changes every answer shifts the entropy of none: both are limited, or neither."""
    tables = [
        ("[limits]", config.limits),
        *(
            (f"[[limits.override]] #{number}", override)
            for number, override in enumerate(config.limits.override, start=1)
        ),
    ]
    for where, table in tables:
        changes = (table.answer_change, config.limits.answer_change)
        if table.entropy_shift is not None and changes == (None, None):
            yield (
                f"{where} entropy_shift counts unchanged answers only, so that a model which changes all "
                "of them would pass; give [limits] answer_change as well"
            )


def prefill(config: Config) -> Iterator[str]:
    """A rise by prefill is one over the same questions without it."""
    if not limiting(config, "prefill_rise"):
        return
    kinds = {table.kind or (name,) for name, table in config.attacks.items()}
    for kind in ("direct", "prefill"):
        if (kind,) not in kinds:
            yield (
                f'[limits] prefill_rise compares attacks of kind "prefill" with one of kind "direct", and '
                f"there is no {kind} one; add [attacks.{kind}], or leave it out"
            )


def overrides(config: Config) -> Iterator[str]:
    """Each override matches something and changes it."""
    for number, override in enumerate(config.limits.override, start=1):
        yield from _override(config, override, f"[[limits.override]] #{number}")


def _override(config: Config, override: Override, where: str) -> Iterator[str]:
    """An override that changes nothing is a mistake that would go unnoticed."""
    metrics = [name for name in METRICS if getattr(override, name) is not None]
    if not metrics and not override.saturated:
        yield f"{where} limits nothing; give it a metric, such as asr = 0.2"
    for key in ("scenario", "attack", "pair"):
        glob, slugs = getattr(override, key), getattr(config, f"{key}s")
        if not any(fnmatchcase(slug, glob) for slug in slugs):
            yield f"{where} {key} = {glob!r} matches no [{key}s.NAME]{suggest(glob, slugs)}"
    narrowed = [key for key in ("scenario", "attack") if getattr(override, key) != "*"]
    whole = [name for name in metrics if name in PAIR_METRICS]
    if narrowed and whole:
        yield (
            f"{where} sets {', '.join(whole)} for one {' and '.join(narrowed)}, but that is "
            f"decided for the pair as a whole; leave out {' and '.join(narrowed)}"
        )
