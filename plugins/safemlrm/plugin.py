"""The pytest hooks, and nothing else; what they do lies in the modules they call."""

from __future__ import annotations

from collections.abc import Generator, Iterable, Iterator
from dataclasses import replace
from typing import Any

import pytest

from safemlrm import hookspecs
from safemlrm.errors import ConfigError, GateFailure, SafemlrmError
from safemlrm.state import (
    NOTES,
    OUTCOME,
    PROGRESS,
    RUN,
    find_config,
    forget_broken,
    tell_broken,
)


def pytest_addhooks(pluginmanager: pytest.PytestPluginManager) -> None:
    """Attacks and prompts of a user's own come from conftest.py or a plugin, by name."""
    pluginmanager.add_hookspecs(hookspecs)


def pytest_addoption(parser: pytest.Parser) -> None:
    """Every flag starts with --safety, so that it clashes with nobody's."""
    group = parser.getgroup("safety", "safety gates for multimodal reasoning models")
    group.addoption("--safety-config", metavar="FILE", help="the safety.toml to use")
    group.addoption("--safety-profile", metavar="NAME", help="overlay [profiles.NAME]")
    group.addoption(
        "--safety-candidates",
        metavar="FILE",
        help="another safety.toml, of which only the models that are candidates count",
    )
    group.addoption(
        "--safety-model",
        metavar="NAME=WEIGHTS[@REVISION]",
        action="append",
        default=[],
        help="other weights for a candidate, whatever safety.toml and its profile say; may be repeated",
    )
    group.addoption(
        "--safety-plan",
        action="store_true",
        help="print what would be asked and what it could detect, then stop",
    )
    group.addoption(
        "--safety-replay", action="store_true", help="decide from the store, never ask a model"
    )
    group.addoption(
        "--safety-observe", action="store_true", help="measure and show, but fail no gate"
    )
    group.addoption(
        "--safety-attach",
        choices=("none", "redacted", "full"),
        help="what reports may show of responses, instead of [report] attach",
    )
    parser.addini(
        "safety_config", "the safety.toml to use, relative to the root folder", default=""
    )


@pytest.hookimpl(tryfirst=True)
def pytest_cmdline_main(config: pytest.Config) -> None:
    """A plan only collects; xdist stays away from collect-only runs by itself."""
    if config.getoption("safety_plan"):
        config.option.collectonly = True


def pytest_configure(config: pytest.Config) -> None:
    """Markers have to exist before --strict-markers looks, and mistakes cost nothing yet."""
    config.addinivalue_line(
        "markers",
        "safety(pairs=None, scenarios=None, attacks=None, metrics=None): "
        "the cases of the matrix a test stands for",
    )
    config.addinivalue_line("markers", "gpu(memory_gib=0): needs a CUDA device of that size")
    file = find_config(config)
    if file is None:
        return
    from safemlrm import fixtures
    from safemlrm.collection import check_expression
    from safemlrm.reporting.allure import file_results
    from safemlrm.reporting.outcome import Outcome
    from safemlrm.session import open_run

    try:
        run = open_run(config, file)
        check_expression(config.getoption("markexpr"), run.matrix.slugs, config.getini("markers"))
    except ConfigError as error:
        if "safety_config" in getattr(config, "workerinput", {}):
            return  # the controller could read it, so pytest_sessionstart says what happened
        raise pytest.UsageError(str(error)) from None
    for slug, meaning in run.matrix.slugs.items():
        config.addinivalue_line("markers", f"{slug}: {meaning}")
    config.stash[RUN], config.stash[OUTCOME], config.stash[NOTES] = run, Outcome(), []
    config.pluginmanager.register(fixtures, "safemlrm.fixtures")
    # A report does not carry the config, so the object that collects reports is a plugin itself.
    if config.pluginmanager.register(config.stash[OUTCOME], "safemlrm.outcome") is None:
        raise pytest.UsageError("safemlrm.outcome decides the exit code: take its -p no: away")
    config.pluginmanager.register(LastWord(), "safemlrm.last_word")
    file_results(config, run.uid)


@pytest.hookimpl(optionalhook=True)
def pytest_configure_node(node: Any) -> None:
    """A worker reads safety.toml anew, and is told what the run began with."""
    run = node.config.stash.get(RUN, None)
    if run is not None:
        node.workerinput["safety_config"] = run.config.digest


def pytest_sessionstart(session: pytest.Session) -> None:
    """A worker that takes a crashed one's place must not decide by what was edited since."""
    given: dict[str, str] = getattr(session.config, "workerinput", {})
    run = session.config.stash.get(RUN, None)
    began = given.get("safety_config")
    if began is not None and (run is None or run.config.digest != began):
        session.shouldfail = "safety: safety.toml was edited while the run went on; run it again"


def pytest_unconfigure(config: pytest.Config) -> None:
    """An open store would leave its journal files behind."""
    run = config.stash.get(RUN, None)
    if run is not None:
        run.close()


def pytest_report_header(config: pytest.Config) -> list[str]:
    """A verdict is read with the settings it was reached under."""
    run = config.stash.get(RUN, None)
    if run is None:
        return []
    from safemlrm.audit import spelled
    from safemlrm.reporting.terminal import header

    weights = [f"safety: weights by --safety-model: {spelled(model)}" for model in run.models]
    return header(run.config, run.matrix, run.families) + weights


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """One item a case, so that selection, shards and reports work as for any test."""
    run = metafunc.config.stash.get(RUN, None)
    if run is None:
        if metafunc.definition.get_closest_marker("safety"):
            raise pytest.Collector.CollectError(
                f"{metafunc.definition.nodeid}: safety tests need a safety.toml; write one in "
                f"{metafunc.config.rootpath} or name it with --safety-config"
            )
        return
    asks = {"safety_case", "safety_tier"} & set(metafunc.fixturenames)
    if asks or metafunc.definition.get_closest_marker("safety"):
        from safemlrm.collection import parametrise

        try:
            parametrise(metafunc, run.matrix, run.families)
        except ConfigError as error:  # CollectError is shown without a traceback
            raise pytest.Collector.CollectError(str(error)) from None


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_collection_finish(session: pytest.Session) -> Generator[None, object, object]:
    """The plan is the union of what is left after deselection."""
    config = session.config
    run = config.stash.get(RUN, None)
    if run is None:
        return (yield)
    from safemlrm.collection import subject_of
    from safemlrm.reporting.forecast import plan_lines

    for item in session.items:
        subject = subject_of(item)
        if subject is not None:
            item.user_properties.append(("safety.case", subject.id))
    plan = run.plan_of(session)
    if hasattr(config, "workerinput") and plan.work:
        run.leave_plan(replace(plan, tests=tuple(_gates(session.items))))
    if not config.getoption("safety_plan"):
        result = yield
        config.stash[OUTCOME].collected.update(_gates(session.items))  # less what plugins took away
        return result
    reporter = config.pluginmanager.get_plugin("terminalreporter")
    if reporter is not None:
        subjects = map(subject_of, session.items)
        try:
            past, lost = run.past(plan), run.clippings(plan.cases)
        except SafemlrmError as error:  # an attack that cannot be applied here
            raise pytest.UsageError(str(error)) from None
        for line in plan_lines(plan, run.config, run.families, past, subjects, lost):
            reporter.write_line(line)
    config.option.collectonly = False  # pytest would list every item after the plan
    result = yield
    config.option.collectonly = True
    return result


def _gates(items: Iterable[pytest.Item]) -> Iterator[str]:
    """Yield the ids of the tests that stand for a case or a pair."""
    from safemlrm.collection import subject_of

    return (item.nodeid for item in items if subject_of(item) is not None)


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtestloop(session: pytest.Session) -> Generator[None, object, object]:
    """Without xdist, measuring happens here: once, before the first test."""
    config = session.config
    run = config.stash.get(RUN, None)
    distributed = config.pluginmanager.hasplugin("dsession") or hasattr(config, "workerinput")
    errors = session.testsfailed and not config.getoption("continue_on_collection_errors")
    if run and not distributed and not config.option.collectonly and not errors:
        run.measure(run.plan_of(session), run.uid, config)
    return (yield)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_node_collection_finished(node: Any, ids: list[str]) -> None:
    """With xdist the controller measures when the first worker has collected and none runs yet."""
    config: pytest.Config = node.config
    run = config.stash.get(RUN, None)
    if run is not None and PROGRESS not in config.stash:
        run.measure_left(node.workerinput["testrunuid"], config)


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item: pytest.Item) -> None:
    """A rerun is not broken by what broke before it."""
    forget_broken(item)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """A failed gate and a broken model are explained by their text, not by our traceback."""
    error = call.excinfo.value if call.excinfo else None
    if isinstance(error, SafemlrmError):
        tell_broken(item, error)
    report = yield
    if isinstance(error, SafemlrmError | GateFailure):
        from safemlrm.audit import spelled_lines

        report.longrepr = spelled_lines(str(error))
    return report


@pytest.hookimpl(tryfirst=True)
def pytest_sessionfinish(session: pytest.Session) -> None:
    """A run whose tests passed still fails if nothing was decided or too much could not be."""
    run, option = session.config.stash.get(RUN, None), session.config.option
    lists = option.collectonly or option.showfixtures or option.show_fixtures_per_test
    if run and not hasattr(session.config, "workerinput") and not lists:
        run.finish(session)


class LastWord:
    """Hears how a run ends after every other plugin had its say, and before the terminal tells of it."""

    @pytest.hookimpl(wrapper=True, trylast=True)
    def pytest_sessionfinish(self, session: pytest.Session) -> Generator[None, object, object]:
        """What another plugin failed at the end is in no report as passed."""
        result = yield
        run = session.config.stash.get(RUN, None)
        if run and session.config.stash[OUTCOME].passed and session.exitstatus != 0:
            run.withdraw(session)
        return result


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_terminal_summary(
    terminalreporter: Any, config: pytest.Config
) -> Generator[None, object, object]:
    """The decisions, worst first, are the last thing a person reads."""
    run = config.stash.get(RUN, None)
    if run is None:
        return (yield)
    if not config.stash[OUTCOME].selected:
        result = yield
        for note in config.stash[NOTES]:
            terminalreporter.write_line(f"safety: {note}", red=True)
        return result
    from safemlrm.reporting.terminal import bounded, closing, sheet_of

    outcome, notes = config.stash[OUTCOME], config.stash[NOTES]
    with bounded(terminalreporter, outcome) as hidden:
        result = yield
    sheet = sheet_of(terminalreporter, run.config, run.again, len(hidden))
    closing(terminalreporter, outcome, run.families, notes, sheet)
    return result
