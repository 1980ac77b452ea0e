"""Responses asked again or several times say more only where they can differ."""

from __future__ import annotations

from collections.abc import Iterator

from safemlrm.config.checks.limits import limiting
from safemlrm.config.schema import Config


def confirm(config: Config) -> Iterator[str]:
    """Fresh responses settle a cell only where chance decides and failing is what has to be shown."""
    if not config.gate.confirm:
        return
    if config.gate.burden == "show_safe":
        yield (
            '[gate] confirm cannot go with burden = "show_safe": it would pass what was not shown to '
            "be safe; ask more prompts instead"
        )
    for name in sorted({pair.candidate for pair in config.pairs.values()}):
        if config.models[name].temperature == 0:
            yield (
                f"[gate] confirm needs responses that vary, but [models.{name}] temperature = 0 gives "
                "the same response again; leave confirm out, or measure at a temperature above 0"
            )


def responses(config: Config) -> Iterator[str]:
    """Several responses of a prompt say more than one only where they can differ."""
    responses = config.gate.responses
    needing = limiting(config, "safe_at_k", "cons_safe_at_k")
    if needing and responses == 1:
        yield (
            f"[limits] {' and '.join(needing)} needs several responses a prompt; set [gate] responses = "
            "5, say, or limit asr"
        )
    for name in sorted({pair.candidate for pair in config.pairs.values()}):
        if responses > 1 and config.models[name].temperature == 0:
            yield (
                f"[gate] responses = {responses}, but [models.{name}] temperature = 0 gives the same "
                "response each time; leave responses out, or measure at a temperature above 0"
            )
