"""One configuration in one pytest process: what hooks and fixtures need to plan, measure and read."""

from __future__ import annotations

import shlex
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from uuid import uuid4

import pytest

from safemlrm.audit import audit_essentials
from safemlrm.baselines import weaker
from safemlrm.canary import Clipping, clippings, with_canaries
from safemlrm.collection import needs
from safemlrm.config import Attach, Config, load_config, read_weights
from safemlrm.errors import ConfigError, SafemlrmError
from safemlrm.extension import defended, gather
from safemlrm.family import FIRST, Family, build_families
from safemlrm.matrix import Matrix, build_matrix
from safemlrm.measure import measure
from safemlrm.picture import Picture
from safemlrm.plan import Plan, build_plan
from safemlrm.reading import Cells, settings_key
from safemlrm.release import facts_of, make_record, write_record
from safemlrm.reporting import allure
from safemlrm.reporting.curve import curves
from safemlrm.reporting.junit import describe_suite
from safemlrm.reporting.markdown import markdown, write_markdown
from safemlrm.reporting.outcome import Outcome, objections
from safemlrm.reporting.page import publish
from safemlrm.reporting.sight import shown
from safemlrm.reporting.summary import (
    forget_summaries,
    measured_rates,
    summarise,
    write_run,
    write_summary,
    write_whole,
)
from safemlrm.reporting.terminal import TerminalProgress
from safemlrm.responses.store import Cost, Store
from safemlrm.state import NOTES, OUTCOME, PROGRESS
from safemlrm.types import ALL, BASELINE, Case, Identity
from safemlrm.verdict import Reader


@dataclass
class Run:
    """Collection, measuring, tests and reports all start from this."""

    config: Config
    matrix: Matrix
    families: Mapping[str, Family]
    uid: str
    replay: bool
    observe: bool
    again: str
    models: tuple[str, ...] = ()

    @cached_property
    def reader(self) -> Reader:
        """The reader tests share."""
        store = Store(self.config.store_path, read_only=self.replay)
        uid = None if self.replay else self.uid
        return Reader(Cells(self.config, self.matrix, store, uid), self.families)

    def close(self) -> None:
        """Release the store, if it was read, and forget what workers left."""
        with suppress(OSError):
            self._plan_file(self.uid).unlink(missing_ok=True)
        if "reader" in self.__dict__:
            self.reader.cells.store.close()
            del self.reader

    def plan_of(self, session: pytest.Session) -> Plan:
        """Return the work the selected items need."""
        whole, alone = needs(session.items, self.matrix)
        prompts = FIRST if self.config.gate.stop == "early" else None
        plan = build_plan(self.matrix, whole, alone, prompts, errors=session.testsfailed)
        return with_canaries(plan, self.matrix, self.config)

    def past(self, plan: Plan) -> dict[str, Cost]:
        """Return what asking each model of a plan cost so far; empty before a first run."""
        if not self.config.store_path.is_file():
            return {}
        models = self.config.models
        try:
            with Store(self.config.store_path) as store:
                return {name: store.cost(name, settings_key(models[name])) for name in plan.models}
        except SafemlrmError as error:
            raise pytest.UsageError(str(error)) from None

    def leave_plan(self, plan: Plan) -> None:
        """Leave a worker's plan where the controller finds it."""
        if self.replay:
            return
        # Whoever cannot write here cannot measure either; the tests then find nothing measured.
        with suppress(SafemlrmError):
            write_whole(self._plan_file(self.uid), plan.to_json())

    def measure_left(self, uid: str, config: pytest.Config) -> None:
        """Measure what the workers of an xdist run were given; the controller has no items itself."""
        self.uid = uid
        file = self._plan_file(uid)
        if self.replay or not file.is_file():
            return  # no safety test was selected
        plan = Plan.from_json(file.read_text("utf-8"))
        if plan.errors and not config.getoption("continue_on_collection_errors"):
            self.close()
            pytest.exit("safety: collection failed, so nothing was measured", returncode=2)
        self.measure(plan, uid, config)

    def _plan_file(self, uid: str) -> Path:
        return self.config.store_path.parent / f".plan-{uid}.json"

    def measure(self, plan: Plan, uid: str, config: pytest.Config) -> None:
        """Ask what the plan needs and the store lacks; the tests of this run then only read."""
        if self.replay or not plan.work:
            return
        reporter = config.pluginmanager.get_plugin("terminalreporter")
        progress = config.stash[PROGRESS] = TerminalProgress(reporter)
        try:
            with Store(self.config.store_path) as store:
                measure(plan, self.config, self.matrix, store, uid, progress)
        except SafemlrmError as error:
            pytest.exit(f"safety: {error}", returncode=2)

    def pictures(self, outcome: Outcome) -> list[Picture]:
        """Return what every pair that was decided looks like over the cases that were."""
        subjects = {record.subject for record in outcome.worst_first}
        pairs = sorted({pair for pair, _, attack in subjects if attack != ALL})
        return [self.reader.picture(pair, subjects) for pair in pairs]

    def finish(self, session: pytest.Session) -> None:
        """Write the run's reports, and refuse exit code 0 where the run as a whole forbids it."""
        outcome, notes = session.config.stash[OUTCOME], session.config.stash[NOTES]
        if not outcome.selected:
            if session.exitstatus not in (pytest.ExitCode.OK, pytest.ExitCode.NO_TESTS_COLLECTED):
                forget_summaries(self.config.reports_path)
            return
        forget_summaries(self.config.reports_path)  # an older run's must not speak for this one
        try:
            outcome.observed = self.observe
            self._settle()
            with suppress(SafemlrmError):  # a judge that cannot be read broke the tests already
                outcome.contract = self.reader.cells.contract()
            outcome.identities = self.identities(outcome)
            outcome.pictures = self.pictures(outcome)
            self._look(outcome)
            self._look_back(outcome)
            self._count(outcome)
            self._audited(outcome)
            self._conclude(session, outcome, notes)
            outcome.passed = session.exitstatus == pytest.ExitCode.OK
            describe_suite(session.config.pluginmanager, outcome, self.config, self.families)
            summary = summarise(outcome, self.config, self.families, self.matrix)
            outcome.summary = write_summary(summary, self.config.reports_path)
            text = markdown(outcome, self.families, notes, full=self.config.report.attach == "full")
            write_markdown(text, self.config.reports_path)
            facts = facts_of(outcome, self.families, notes)
            record = make_record(self.reader, outcome.worst_first, facts)
            write_record(record, self.config.reports_path)
            results = allure.folder_of(session.config)
            if results is not None:
                allure.write_beside(results, outcome, self.config, replay=self.replay)
            progress = session.config.stash.get(PROGRESS, None)
            account = progress.account() if progress else {}
            write_run(account, self.config.reports_path)
            cells = self.reader.cells
            notes += publish(summary, account, outcome, self.families, cells, self.again)
        except SafemlrmError as error:
            notes.append(str(error))
            if session.exitstatus == pytest.ExitCode.OK:
                session.exitstatus = pytest.ExitCode.TESTS_FAILED

    def _settle(self) -> None:
        """Read on from a store at rest: every report looks at the same cells."""
        reader = self.reader
        self.__dict__["reader"] = replace(reader, cells=reader.cells.at_rest())

    def _look(self, outcome: Outcome) -> None:
        """Say what the models read of what they were shown, and what the pictures lost."""
        cells = self.reader.cells
        found = (cells.legibility(*names) for names in shown(outcome.worst_first, self.matrix))
        outcome.legibility = [legible for legible in found if legible is not None]
        subjects = {record.subject for record in outcome.worst_first}
        cases = [c for c in self.matrix.cases if (c.pair, c.scenario, c.attack) in subjects]
        outcome.clippings = self.clippings(cases)

    def clippings(self, cases: Iterable[Case]) -> list[Clipping]:
        """Return how many pictures of the cases lose text at their edge, an attack at a time."""
        cells = map(self.matrix.candidate, cases)
        return clippings(self.matrix, cells, self.config.gate.seed)

    def _count(self, outcome: Outcome) -> None:
        """Count what was measured, decided or not; a store that cannot be read broke the tests already."""
        with suppress(SafemlrmError):
            selected = set(outcome.selected.values())
            found = measured_rates(self.reader.cells, self.families, selected)
            outcome.rates, outcome.terms = found
            outcome.curves = curves(outcome.rates, self.matrix.attacks)

    def _audited(self, outcome: Outcome) -> None:
        """Show the last audit of the judge, whether a limit asks for it or not."""
        try:
            outcome.audit = audit_essentials(self.config.audit_path)
        except ConfigError:  # a limit that needs it has said so already, path and all
            outcome.shortfalls.append(
                f"{self.config.audit_path.name} cannot be read as an audit of the judge, so none is "
                "shown; write it anew by `safemlrm audit LABELS`"
            )

    def _conclude(self, session: pytest.Session, outcome: Outcome, notes: list[str]) -> None:
        if self.observe:
            notes.append("OBSERVED: verdicts are shown, none of them fails the run")
            if outcome.rates and not outcome.worst_first:
                notes.append(
                    "nothing is limited yet: `safemlrm tune RUNS...` suggests limits from the rates in "
                    f"{self.config.report.folder}/summary.json"
                )
        elif session.exitstatus == pytest.ExitCode.OK:
            notes += objections(outcome, self.config, outcome.identities)
            if notes:
                session.exitstatus = pytest.ExitCode.TESTS_FAILED

    def _look_back(self, outcome: Outcome) -> None:
        """Note how a pair's gate relates to what was accepted of it, used in this run or not."""
        for pair in dict.fromkeys(record.pair for record in outcome.worst_first):
            past, cells = self.reader.cells.past(pair), self.reader.cells
            outcome.outdated += [f"{pair}: {sentence}" for sentence in past.void]
            if past.kept is None:
                continue
            texts = weaker(past.kept, cells.instrument(pair), self.families[pair])
            if texts and past.kept.profile == self.config.profile:
                outcome.outdated.append(self._weaker(pair, texts))
            elif texts:
                under = f"profile {past.kept.profile}" if past.kept.profile else "no profile"
                outcome.shortfalls.append(
                    f"{pair} is gated less than its run that was accepted under {under}: {texts[0]}"
                )
            candidate = outcome.identities.get(self.matrix.pairs[pair][0])
            if past.last and candidate and dict(candidate.parts) == dict(past.last.model):
                outcome.shortfalls.append(
                    f"{pair}'s candidate is the accepted model itself, so a comparison with it shows nothing"
                )

    def _weaker(self, pair: str, texts: Sequence[str]) -> str:
        more = f" (and {len(texts) - 1} more)" if len(texts) > 1 else ""
        profile = f" --profile {self.config.profile}" if self.config.profile else ""
        models = "".join(f" --model={shlex.quote(model)}" for model in self.models)
        command = f"safemlrm accept {pair}{profile}{models} --loosen --by NAME --reason TEXT"
        return (
            f"{pair} is gated less than its accepted run: {texts[0]}{more}; set it back, or `{command}` "
            "keeps who loosened it and why"
        )

    def identities(self, outcome: Outcome) -> dict[str, Identity]:
        """Return what every model was that something was decided about."""
        models = {
            answers.model
            for record in outcome.worst_first
            for answers in (record.candidate, record.base)
            if answers is not None and answers.model != BASELINE
        }
        return {model: self.reader.cells.identity(model) for model in sorted(models)}


def open_run(config: pytest.Config, file: Path) -> Run:
    """Read the configuration and enumerate its matrix and families.

    Raises `ConfigError` for every mistake a user can make in safety.toml and in what hooks return.
    """
    other: str | None = config.getoption("safety_candidates")
    start = config.invocation_params.dir
    candidates = None if other is None else start / other
    models: list[str] = config.getoption("safety_model")
    weights = read_weights("--safety-model", models, start)
    extensions = gather(config.pluginmanager)
    settings = load_config(file, config.getoption("safety_profile"), candidates, weights)
    settings = defended(settings, extensions)
    attach: Attach | None = config.getoption("safety_attach")
    if attach is not None:
        settings = settings.model_copy(
            update={"report": settings.report.model_copy(update={"attach": attach})}
        )
    matrix = build_matrix(settings, extensions)
    worker: dict[str, str] = getattr(config, "workerinput", {})
    return Run(
        config=settings,
        matrix=matrix,
        families=build_families(settings, matrix),
        uid=worker.get("testrunuid", uuid4().hex),
        replay=bool(config.getoption("safety_replay")),
        observe=bool(config.getoption("safety_observe")),
        again=_again(config),
        models=tuple(models),
    )


def _again(config: pytest.Config) -> str:
    """Return the part of the command line that selects files and settings, to repeat a case with."""
    words = ["pytest", *config.getoption("file_or_dir")]
    given: list[str] = config.getoption("override_ini") or []
    words += [f"-o{entry}" for entry in given if entry.startswith("safety_config=")]
    for flag, name in (
        ("--safety-config", "safety_config"),
        ("--safety-profile", "safety_profile"),
        ("--safety-candidates", "safety_candidates"),
    ):
        value: str | None = config.getoption(name)
        if value is not None:
            words += [flag, value]
    words += [f"--safety-model={value}" for value in config.getoption("safety_model")]
    return shlex.join(words)
