"""What a person sees: header, progress while measuring, the closing table, a failed gate's text."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from math import isnan
from time import monotonic

import pytest

from safemlrm.config import Config
from safemlrm.family import Family
from safemlrm.matrix import Matrix
from safemlrm.metrics.paired import Difference, Ratio
from safemlrm.picture import Picture
from safemlrm.reporting.contract import contract_lines
from safemlrm.reporting.outcome import Outcome, partial
from safemlrm.reporting.record import Record
from safemlrm.reporting.sight import sight_lines
from safemlrm.reporting.warning import warning_list
from safemlrm.types import Estimate, Verdict

ROWS = 30
COLOURS = {Verdict.PASS: "green", Verdict.FAIL: "red"}


def header(config: Config, matrix: Matrix, families: Mapping[str, Family]) -> list[str]:
    """Return the settings that shape every verdict, one line a subject."""
    gate = config.gate
    profile = f", profile {config.profile}" if config.profile else ""
    lines = [
        f"safety: {config.file.name}{profile}; {len(matrix.pairs)} pairs x "
        f"{len(matrix.scenarios)} scenarios x {len(matrix.attacks)} attacks",
        f"safety: judge {gate.judge}, unsafe at score >= {gate.unsafe_at} in the "
        f"{config.limits.channel}, alpha {gate.alpha:g}, {gate.burden}, stop {gate.stop}, "
        f"seed {gate.seed}",
    ]
    for pair, family in families.items():
        shares = ", ".join(
            f"{size} {name} at level {family.ledger.level(name):.2g}"
            for name, size in family.ledger.sizes.items()
            if name != "confirm"
        )
        lines.append(f"safety: family of {pair}: {shares or 'no limit is configured'}")
    if matrix.dropped:
        left = ", ".join(
            f"{number} of {number + len(matrix.scenarios[slug].pool)} in {slug}"
            for slug, number in matrix.dropped.items()
        )
        lines.append(f"safety: left out for a missing picture: {left}")
    return lines


class TerminalProgress:
    """Says how measuring goes: at once, every few seconds, and at the end of a model."""

    def __init__(self, reporter: pytest.TerminalReporter | None, every: float = 3.0) -> None:
        self._reporter, self._every = reporter, every
        self._model, self._total, self._done, self._asked = "", 0, 0, 0
        self._began = self._said = 0.0
        self._account: dict[str, dict[str, float]] = {}

    def wait(self) -> None:
        """Announce that another run has to finish first."""
        self._say("another run is measuring into this store; waiting for it")

    def start(self, model: str, cells: int, prompts: int) -> None:
        """Announce a model."""
        self._model, self._total, self._done, self._asked = model, prompts, 0, 0
        self._began = self._said = monotonic()
        self._say(f"{cells} cells, {prompts} prompts")

    def advance(self, asked: int, stored: int) -> None:
        """Count, and speak up now and then."""
        self._done += asked + stored
        self._asked += asked
        now = monotonic()
        if asked and now - self._said >= self._every:
            self._said = now
            rate = self._asked / (now - self._began)
            left = (self._total - self._done) / rate
            self._say(f"{self._done}/{self._total} prompts, {rate:.0f}/s, {left:.0f} s left")

    def note(self, text: str) -> None:
        """Say what a person should know before a model is asked."""
        self._say(text, yellow=True)

    def cut(self, reason: str) -> None:
        """Announce that the budget ended the asking."""
        self._say(
            f"{reason} is spent: {self._total - self._done} prompts were not asked", yellow=True
        )

    def broken(self, reason: str) -> None:
        """Announce that the model could not be measured."""
        self._say(f"BROKEN: {reason}", red=True)

    def finish(self) -> None:
        """Close a model's account."""
        took = monotonic() - self._began
        stored = self._done - self._asked
        self._account[self._model] = {"asked": self._asked, "stored": stored, "seconds": took}
        self._say(f"asked {self._asked}, from the store {stored}, {took:.1f} s")

    def account(self) -> dict[str, dict[str, float]]:
        """Return what each model cost: responses asked, responses found, seconds."""
        return self._account

    def _say(self, text: str, **markup: bool) -> None:
        if self._reporter is not None:
            self._reporter.ensure_newline()
            who = f"measuring {self._model}" if self._model else "safety"
            self._reporter.write_line(f"{who}: {text}", **markup)
            self._reporter.flush()


def table(records: Sequence[Record]) -> list[tuple[str, Verdict]]:
    """Return the closing table, worst first, as (line, verdict)."""
    shown = records[:ROWS]
    columns = [(r.headline, r.title, r.label, r.observed) for r in shown]
    widths = [max(map(len, column)) for column in zip(*columns, strict=True)]
    lines = []
    for record, cells in zip(shown, columns, strict=True):
        text = "  ".join(f"{cell:<{width}}" for cell, width in zip(cells, widths, strict=True))
        lines.append((f"{text}  {record.zones}  {record.against}".rstrip(), record.verdict))
    return lines


def closing(
    reporter: pytest.TerminalReporter,
    outcome: Outcome,
    families: Mapping[str, Family],
    again: str,
    notes: Iterable[str],
) -> None:
    """Write the closing section: the table, what repeats its first line, and what to know beside it."""
    records = outcome.worst_first
    reporter.section("safety: worst first, by distance beyond the limit")
    for line, verdict in table(records):
        reporter.write_line(line, **{COLOURS.get(verdict, "yellow"): True})
    if len(records) > ROWS:
        reporter.write_line(f"... {len(records) - ROWS} more in summary.json")
    if records and records[0].verdict is not Verdict.PASS:
        reporter.write_line(f"again: {again_command(records[0], again)}")
    for model, identity in outcome.identities.items():
        reporter.write_line(f"model {model}: {identity.digest[:12]}")
    if outcome.screened:
        reporter.write_line("PASS means: screened by rules, the judge of this run")
    counts = ", ".join(f"{number} {verdict}" for verdict, number in outcome.verdicts.items())
    reporter.write_line(f"decisions: {counts or 'none'}; broken tests: {len(outcome.broken)}")
    for picture in outcome.pictures:
        for line in picture_lines(picture):
            reporter.write_line(line)
    for line in [*contract_lines(outcome), *sight_lines(outcome)]:
        reporter.write_line(line)
    for line in warning_lines(records, families):
        reporter.write_line(line, yellow=True)
    for shortfall in partial(outcome, families):
        reporter.write_line(f"PARTIAL: {shortfall}", yellow=True)
    for note in notes:
        reporter.write_line(note, red=True)


def warning_lines(records: Sequence[Record], families: Mapping[str, Family]) -> list[str]:
    """Return what did not fail and is still worth a look; empty when nothing is."""
    found = warning_list(records, families)
    head = f"warning list, {len(found)} decisions that did not fail (Benjamini-Hochberg, 10%):"
    lines = [f"  {r.title}: {r.label} {r.observed}, {r.zones}" for r in found]
    return [head, *lines] if found else []


def picture_lines(picture: Picture) -> list[str]:
    """Return a pair's tax, blind spots and coupling, each with its interval."""
    lines = []
    if picture.tax is not None:
        tax = picture.tax
        lines.append(
            f"{picture.pair}: ASR {tax.base.value:.1%} -> {tax.candidate.value:.1%}, "
            f"reasoning tax {points(tax.difference)}, {times(tax.ratio)}"
        )
        blind = sorted((s for s in tax.spots if s.blind), key=lambda s: -s.standout.value)
        lines += [
            f"  blind spot {spot.scenario}: ASR {spot.base.value:.1%} -> {spot.candidate.value:.1%}, "
            f"tax {points(spot.tax)}, {points(spot.standout)} beyond the other scenarios"
            for spot in blind
        ]
        if not blind and len(tax.spots) > 1:
            lines.append("  no blind spot: no scenario's tax stands out from the others'")
    for model in picture.coupling:
        lines.append(
            f"  {model.model}: self-correction {share(model.self_correction)}, "
            f"escape {share(model.escape)}, leak {share(model.leak)}, "
            f"coupling {points(model.coupling)}"
        )
    return lines


def points(difference: Difference) -> str:
    """Write a difference of rates with its interval."""
    if isnan(difference.value):
        return "not defined"
    low, high = difference.low * 100, difference.high * 100
    return f"{difference.value * 100:+.1f} points [{low:+.1f}, {high:+.1f}]"


def times(ratio: Ratio) -> str:
    """Write a ratio of rates with its interval, or what is known of it."""
    if ratio.lower_bound_only:
        return f"at least {ratio.low:.1f} times"
    if isnan(ratio.value):
        return "no ratio"
    return f"{ratio.value:.1f} times [{ratio.low:.1f}, {ratio.high:.1f}]"


def share(rate: Estimate) -> str:
    """Write a share with what it is made of and its interval."""
    if not rate.n:
        return "none (0/0)"
    return f"{rate.value:.1%} ({rate.successes}/{rate.n}) [{rate.low:.1%}, {rate.high:.1%}]"


def again_command(record: Record, command: str) -> str:
    """Return the command that decides one subject again from the store."""
    return f'{command} -m "{record.expression}" --safety-replay'


def failure_text(record: Record, again: str) -> str:
    """Return one screen on a decision that did not pass; ids only, no model output."""
    cut = f"score >= {record.unsafe_at}, {record.channel}"
    lines = [
        f"{record.label} {record.observed}  ({cut})  {record.zones}",
        f"  verdict {record.headline}",
        f"  case    {record.title}   limit from {record.origin}",
    ]
    if record.base is not None and record.against:
        lines.append(f"  base    {record.base} ({record.base.model})")
    if record.illegible:
        lines.append(f"  images  {record.illegible}")
    if record.unaudited:
        lines.append(f"  judge   {record.unaudited}")
    if record.worst:
        lines.append(f"  worst   {', '.join(record.worst)} (ids only; responses stay in the store)")
    lines.append(f"  again   {again_command(record, again)}")
    return "\n".join(lines)
