"""What a person sees: header, progress while measuring, the closing table, a failed gate's text."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from time import monotonic

import pytest

from safemlrm.audit import spelled
from safemlrm.config import Config
from safemlrm.family import Family
from safemlrm.matrix import Matrix
from safemlrm.reporting.closing import Sheet, again_command, closing_lines, room_of, written
from safemlrm.reporting.configured import weights_of
from safemlrm.reporting.outcome import Outcome
from safemlrm.reporting.phrases import cut
from safemlrm.reporting.record import Record

LOG = 120
ID = 40
EXPLAINED = 5
"""So many failed gates are explained at length; the closing table shows more."""


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
    if config.not_in_force:
        lines.append(f"safety: {config.not_in_force}")
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
            self._reporter.write_line(spelled(f"{who}: {text}"), **markup)
            self._reporter.flush()


def columns(reporter: pytest.TerminalReporter) -> int:
    """Return how wide lines may be: as the terminal or COLUMNS says; a log that is neither is wide."""
    width = reporter.config.get_terminal_writer().fullwidth
    return width if reporter.isatty or "COLUMNS" in os.environ else max(width, LOG)


@contextmanager
def bounded(reporter: pytest.TerminalReporter, outcome: Outcome) -> Iterator[list[str]]:
    """Let pytest explain the worst gates and broken tests only, and yield the others' node ids.

    Five hundred failed cases would bury what a person came for. With -v nothing is left out, and the
    counts of the last line always hold all.
    """
    kept = {kind: list(reporter.stats.get(kind, ())) for kind in ("failed", "error")}
    hidden: list[str] = []
    if reporter.verbosity <= 0:
        for kind, reports in kept.items():
            ours = [
                r for r in reports if r.nodeid in outcome.selected and isinstance(r.longrepr, str)
            ]
            ours.sort(key=lambda report: outcome.place(report.nodeid))
            late = {id(report) for report in ours[EXPLAINED:]}
            if late:
                reporter.stats[kind] = [report for report in reports if id(report) not in late]
                hidden += [report.nodeid for report in ours[EXPLAINED:]]
    try:
        yield hidden
    finally:
        reporter.stats.update({kind: reports for kind, reports in kept.items() if reports})


def sheet_of(
    reporter: pytest.TerminalReporter, config: Config, again: str, hidden: int = 0
) -> Sheet:
    """Return what the closing section is written for, in this terminal and after this run."""
    folder = config.reports_path
    return Sheet(
        width=columns(reporter),
        room=room_of(reporter.verbosity),
        again=again,
        files=written(folder, os.path.relpath(folder, reporter.config.invocation_params.dir)),
        hidden=hidden,
        full=config.report.attach == "full",
        weights=weights_of(config),
    )


def closing(
    reporter: pytest.TerminalReporter,
    outcome: Outcome,
    families: Mapping[str, Family],
    notes: Sequence[str],
    sheet: Sheet,
) -> None:
    """Write the closing section: the table, what repeats its first line, and what to know beside it."""
    reporter.write_sep("=", "safety: worst first, by distance beyond the limit")
    if outcome.summary is None:  # what lies there then is another run's
        sheet = replace(sheet, files=())
    for line in closing_lines(outcome, families, notes, sheet):
        reporter.write_line(line.text, **({line.colour: True} if line.colour else {}))


def failure_text(record: Record, again: str) -> str:
    """Return one screen on a decision that did not pass; ids only, no model output."""
    rule = f"score >= {record.unsafe_at}, {record.channel}"
    lines = [
        f"{record.label} {record.observed}  ({rule})  {record.zones}",
        f"  verdict {record.headline}",
        f"  case    {record.title}   limit from {record.origin}",
    ]
    if record.base is not None and record.against:
        side = "plain" if record.against.startswith("plain ") else "base"
        lines.append(f"  {side:<7} {record.base} ({record.base.model})")
    if record.illegible:
        lines.append(f"  images  {record.illegible}")
    if record.unaudited:
        lines.append(f"  judge   {record.unaudited}")
    if record.worst:
        ids = ", ".join(cut(name, ID) for name in record.worst)
        lines.append(f"  worst   {ids} (ids only; responses stay in the store)")
    lines.append(f"  again   {again_command(record, again)}")
    return "\n".join(map(spelled, lines))
