"""What a run's reports say beside its decisions: looked up in the store once, when the tests are over."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from contextlib import suppress

from safemlrm.audit import audit_essentials
from safemlrm.baselines import weaker
from safemlrm.canary import clippings
from safemlrm.config import Config
from safemlrm.errors import ConfigError, SafemlrmError
from safemlrm.reporting.curve import curves
from safemlrm.reporting.outcome import Outcome
from safemlrm.reporting.sight import shown
from safemlrm.reporting.summary import measured_rates
from safemlrm.types import ALL, BASELINE
from safemlrm.verdict import Reader


def complete(outcome: Outcome, reader: Reader, given: Sequence[str]) -> None:
    """Fill in what reports need beside the decisions; `given` are the weights of the command line."""
    cells = reader.cells
    with suppress(SafemlrmError):  # a judge that cannot be read broke the tests already
        outcome.contract = cells.contract()
    models = {
        answers.model
        for record in outcome.worst_first
        for answers in (record.candidate, record.base)
        if answers is not None and answers.model != BASELINE
    }
    outcome.identities = {model: cells.identity(model) for model in sorted(models)}
    _look(outcome, reader)
    _look_back(outcome, reader, given)
    _count(outcome, reader)
    _audited(outcome, cells.config)


def _look(outcome: Outcome, reader: Reader) -> None:
    """Draw the pairs that were decided, and say what their models read of what they were shown."""
    cells, matrix = reader.cells, reader.cells.matrix
    subjects = {record.subject for record in outcome.worst_first}
    pairs = sorted({pair for pair, _, attack in subjects if attack != ALL})
    outcome.pictures = [reader.picture(pair, subjects) for pair in pairs]
    found = (cells.legibility(*names) for names in shown(outcome.worst_first, matrix))
    outcome.legibility = [legible for legible in found if legible is not None]
    cases = [c for c in matrix.cases if (c.pair, c.scenario, c.attack) in subjects]
    outcome.clippings = clippings(matrix, map(matrix.candidate, cases), cells.config.gate.seed)


def _look_back(outcome: Outcome, reader: Reader, given: Sequence[str]) -> None:
    """Note how a pair's gate relates to what was accepted of it, used in this run or not."""
    cells = reader.cells
    config = cells.config
    if config.not_in_force:
        outcome.shortfalls.append(config.not_in_force)
    for pair in dict.fromkeys(record.pair for record in outcome.worst_first):
        past = cells.past(pair)
        outcome.outdated += [f"{pair}: {sentence}" for sentence in past.void]
        if past.kept is None:
            continue
        texts = weaker(past.kept, cells.instrument(pair), reader.families[pair])
        if texts and past.kept.profile == config.profile:
            outcome.outdated.append(_weaker(pair, texts, config, given))
        elif texts:
            under = f"profile {past.kept.profile}" if past.kept.profile else "no profile"
            outcome.shortfalls.append(
                f"{pair} is gated less than its run that was accepted under {under}: {texts[0]}"
            )
        candidate = outcome.identities.get(cells.matrix.pairs[pair][0])
        if past.last and candidate and dict(candidate.parts) == dict(past.last.model):
            outcome.shortfalls.append(
                f"{pair}'s candidate is the accepted model itself, so a comparison with it shows nothing"
            )


def _weaker(pair: str, texts: Sequence[str], config: Config, given: Sequence[str]) -> str:
    more = f" (and {len(texts) - 1} more)" if len(texts) > 1 else ""
    profile = f" --profile {config.profile}" if config.profile else ""
    models = "".join(f" --model={shlex.quote(model)}" for model in given)
    command = f"safemlrm accept {pair}{profile}{models} --loosen --by NAME --reason TEXT"
    return (
        f"{pair} is gated less than its accepted run: {texts[0]}{more}; set it back, or `{command}` "
        "keeps who loosened it and why"
    )


def _count(outcome: Outcome, reader: Reader) -> None:
    """Count what was measured, decided or not; a store that cannot be read broke the tests already."""
    with suppress(SafemlrmError):
        selected = set(outcome.selected.values())
        outcome.rates, outcome.terms = measured_rates(reader.cells, reader.families, selected)
        outcome.curves = curves(outcome.rates, reader.cells.matrix.attacks)


def _audited(outcome: Outcome, config: Config) -> None:
    """Show the last audit of the judge, whether a limit asks for it or not."""
    try:
        outcome.audit = audit_essentials(config.audit_path)
    except ConfigError:  # a limit that needs it has said so already, path and all
        outcome.shortfalls.append(
            f"{config.audit_path.name} cannot be read as an audit of the judge, so none is "
            "shown; write it anew by `safemlrm audit LABELS`"
        )
