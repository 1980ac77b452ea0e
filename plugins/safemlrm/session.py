"""One configuration in one pytest process: what hooks and fixtures need to plan, measure and read."""

from __future__ import annotations

import shlex
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from uuid import uuid4

import pytest

from safemlrm.canary import Clipping, clippings, with_canaries
from safemlrm.collection import needs
from safemlrm.config import Attach, Config, load_config, read_weights
from safemlrm.errors import SafemlrmError
from safemlrm.extension import defended, gather
from safemlrm.family import FIRST, Family, build_families
from safemlrm.matrix import Matrix, build_matrix
from safemlrm.measure import measure
from safemlrm.plan import Plan, build_plan
from safemlrm.reading import Cells, settings_key
from safemlrm.release import facts_of, make_record, write_record
from safemlrm.reporting import allure
from safemlrm.reporting.beside import complete
from safemlrm.reporting.configured import weights_of
from safemlrm.reporting.junit import describe_suite
from safemlrm.reporting.markdown import markdown, write_markdown
from safemlrm.reporting.outcome import Outcome, objections, unended
from safemlrm.reporting.page import publish
from safemlrm.reporting.summary import (
    forget_reports,
    summarise,
    write_run,
    write_summary,
    write_whole,
)
from safemlrm.reporting.terminal import TerminalProgress
from safemlrm.responses.store import Cost, Store
from safemlrm.state import NOTES, OUTCOME, PROGRESS
from safemlrm.types import Case
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
        # Whoever cannot write here cannot measure either; the tests then find nothing measured.
        with suppress(SafemlrmError):
            write_whole(self._plan_file(self.uid), plan.to_json())

    def measure_left(self, uid: str, config: pytest.Config) -> None:
        """Measure what the workers of an xdist run were given; the controller has no items itself."""
        self.uid = uid
        file = self._plan_file(uid)
        if not file.is_file():
            return  # no safety test was selected
        plan = Plan.from_json(file.read_text("utf-8"))
        config.stash[OUTCOME].collected.update(plan.tests)
        goes_on = self.replay or config.getoption("continue_on_collection_errors")
        if plan.errors and not goes_on:
            self.close()
            pytest.exit("safety: collection failed, so nothing was measured", returncode=2)
        self.measure(plan, uid, config)

    def _plan_file(self, uid: str) -> Path:
        return self.config.store_path.parent / f".plan-{uid}.json"

    def measure(self, plan: Plan, uid: str, config: pytest.Config) -> None:
        """Ask what the plan needs and the store lacks; the tests of this run then only read.

        Before that no report is left that speaks of another run, however this one ends.
        """
        if not plan.work:
            return
        try:
            forget_reports(self.config.reports_path)
        except SafemlrmError:  # `finish` meets it again, and says which report it is
            pytest.exit(
                "safety: a report of an earlier run could not be removed, so nothing was measured",
                returncode=2,
            )
        if self.replay:
            return
        reporter = config.pluginmanager.get_plugin("terminalreporter")
        progress = config.stash[PROGRESS] = TerminalProgress(reporter)
        try:
            with Store(self.config.store_path) as store:
                measure(plan, self.config, self.matrix, store, uid, progress)
        except SafemlrmError as error:
            pytest.exit(f"safety: {error}", returncode=2)

    def finish(self, session: pytest.Session) -> None:
        """Write the run's reports, and refuse exit code 0 where the run as a whole forbids it."""
        outcome, notes = session.config.stash[OUTCOME], session.config.stash[NOTES]
        if not outcome.selected:
            if session.exitstatus == pytest.ExitCode.OK and (lost := unended(outcome)):
                notes += lost
                session.exitstatus = pytest.ExitCode.TESTS_FAILED
            if _cut_off(session, outcome):
                notes += self._forget()
            return
        try:
            forget_reports(self.config.reports_path)  # an older run's must not speak for this one
            self._gather(outcome)
            self._conclude(session, outcome, notes)
            outcome.passed = session.exitstatus == pytest.ExitCode.OK
            self._write(session.config, outcome, notes)
        except SafemlrmError as error:
            notes.append(str(error))
            notes += self._take_back(session, outcome)
        except BaseException:  # Ctrl-C as well
            self._take_back(session, outcome)
            raise
        describe_suite(session.config.pluginmanager, outcome, self.config, self.families)

    def _gather(self, outcome: Outcome) -> None:
        """Collect what reports say beside the decisions of the tests."""
        outcome.observed = self.observe
        self._settle()
        complete(outcome, self.reader, self.models)

    def _write(self, config: pytest.Config, outcome: Outcome, notes: list[str]) -> None:
        """Write every report; the line in the history comes last, for it cannot be taken back."""
        folder = self.config.reports_path
        summary = summarise(outcome, self.config, self.families, self.matrix)
        outcome.summary = write_summary(summary, folder)
        weights, full = weights_of(self.config), self.config.report.attach == "full"
        text = markdown(outcome, self.families, notes, weights, full=full)
        write_markdown(text, folder)
        facts = facts_of(outcome, self.families, notes)
        write_record(make_record(self.reader, outcome.worst_first, facts), folder)
        results = allure.folder_of(config)
        if results is not None:
            allure.write_beside(results, outcome, self.config, replay=self.replay)
        progress = config.stash.get(PROGRESS, None)
        account = progress.account() if progress else {}
        write_run(account, folder)
        cells = self.reader.cells
        notes += publish(summary, account, outcome, self.families, cells, self.again)

    def withdraw(self, session: pytest.Session) -> None:
        """Take back that a run passed which something else failed after its reports were written."""
        outcome, notes = session.config.stash[OUTCOME], session.config.stash[NOTES]
        notes.append(
            f"the run ends with exit code {int(session.exitstatus)}, which another plugin or conftest.py "
            "set, so its reports were removed: they said that it passed"
        )
        notes += self._take_back(session, outcome)
        describe_suite(session.config.pluginmanager, outcome, self.config, self.families)

    def _take_back(self, session: pytest.Session, outcome: Outcome) -> list[str]:
        """Fail a run whose reports are not whole, remove what says it passed, and say what stays."""
        if session.exitstatus == pytest.ExitCode.OK:
            session.exitstatus = pytest.ExitCode.TESTS_FAILED
        if not outcome.passed:
            return []
        outcome.passed, outcome.summary = False, None
        return self._forget()

    def _forget(self) -> list[str]:
        """Remove the reports that say how a run ended, and return what there is to say of the rest."""
        try:
            forget_reports(self.config.reports_path)
        except SafemlrmError as error:
            return [str(error)]
        return []

    def _settle(self) -> None:
        """Read on from a store at rest: every report looks at the same cells."""
        reader = self.reader
        self.__dict__["reader"] = replace(reader, cells=reader.cells.at_rest())

    def clippings(self, cases: Iterable[Case]) -> list[Clipping]:
        """Return how many pictures of the cases lose text at their edge, an attack at a time."""
        cells = map(self.matrix.candidate, cases)
        return clippings(self.matrix, cells, self.config.gate.seed)

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


def _cut_off(session: pytest.Session, outcome: Outcome) -> bool:
    """Whether a run in which no gate reported was to have gates: an older run must not speak for it.

    A run of other tests is about something else, however it ends, and so is a mistake on the command line.
    """
    stopped = (pytest.ExitCode.INTERRUPTED, pytest.ExitCode.INTERNAL_ERROR)
    return bool(outcome.collected) or outcome.uncollected or session.exitstatus in stopped


def _again(config: pytest.Config) -> str:
    """Return the part of the command line that selects files and settings, to repeat a case with."""
    words = ["pytest", *config.getoption("file_or_dir", default=[])]  # --help has none
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
