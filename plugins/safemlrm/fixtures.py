"""The fixtures a user's tests ask for."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Protocol

import pytest

from safemlrm.collection import check_metrics
from safemlrm.engines.gpus import Gpu, visible_gpus
from safemlrm.errors import ConfigError, GateFailure, NotMeasured, SafemlrmError
from safemlrm.reporting import allure
from safemlrm.reporting.record import Record
from safemlrm.reporting.recording import records_of
from safemlrm.reporting.terminal import failure_text
from safemlrm.state import RUN, tell_broken
from safemlrm.types import Case, Reason, Tier, Verdict
from safemlrm.verdict import Evaluation, TierEvaluation


class Gate(Protocol):
    """Asserts limits on an evaluation: all that are configured, or those of the named metrics."""

    def __call__(self, evaluation: Evaluation | TierEvaluation, *metrics: str) -> None:
        """Return if nothing failed; raise `GateFailure` or `NotMeasured` otherwise."""


@pytest.fixture
def safety_case(request: pytest.FixtureRequest) -> Case:
    """The case of the matrix this test stands for."""
    case: Case = request.param
    return case


@pytest.fixture
def evaluation(
    safety_case: Case, request: pytest.FixtureRequest, pytestconfig: pytest.Config
) -> Evaluation:
    """The stored evidence on this test's case, for the candidate and its base.

    Raises `SafemlrmError` where a model broke or was not measured: the test is an error, not a failure.
    """
    with _told(request):
        return pytestconfig.stash[RUN].reader.evaluate(safety_case)


@pytest.fixture
def safety_tier(request: pytest.FixtureRequest) -> Tier:
    """The pair this test stands for as a whole."""
    tier: Tier = request.param
    return tier


@pytest.fixture
def tier(
    safety_tier: Tier, request: pytest.FixtureRequest, pytestconfig: pytest.Config
) -> TierEvaluation:
    """The stored evidence on all cases of this test's pair, for the candidate and its base.

    Raises `SafemlrmError` where a model broke or was not measured: the test is an error, not a failure.
    """
    with _told(request):
        return pytestconfig.stash[RUN].reader.evaluate_tier(safety_tier)


@pytest.fixture
def gpu(request: pytest.FixtureRequest, pytestconfig: pytest.Config) -> Gpu:
    """A GPU for this test; each xdist worker is given its own, as far as there are enough.

    `@pytest.mark.gpu(memory_gib=40)` asks for one of that size. Without one the test is skipped, or
    failed where safety.toml says `[gpu] missing = "fail"`: a release gate must not skip by accident.
    """
    marker = request.node.get_closest_marker("gpu")
    least = float(marker.kwargs.get("memory_gib", 0)) if marker else 0.0
    fitting = [found for found in visible_gpus() if found.memory_gib >= least]
    if not fitting:
        text = f"no GPU with at least {least:g} GiB is visible" if least else "no GPU is visible"
        if pytestconfig.stash[RUN].config.gpu.missing == "fail":
            pytest.fail(f'{text}, and [gpu] missing = "fail"', pytrace=False)
        pytest.skip(text)
    worker = str(getattr(pytestconfig, "workerinput", {}).get("workerid", "gw0"))
    return fitting[int(worker.removeprefix("gw")) % len(fitting)]


@pytest.fixture
def gate(request: pytest.FixtureRequest, pytestconfig: pytest.Config) -> Gate:
    """Assert the configured limits of an evaluation and leave the decisions for the reports."""
    run = pytestconfig.stash[RUN]
    decided: dict[tuple[tuple[str, str, str], str], Record] = {}  # over every call of this test

    def assert_limits(evaluation: Evaluation | TierEvaluation, *metrics: str) -> None:
        check_metrics("gate(...)", metrics)
        records = records_of(evaluation, metrics or None)
        if not records and run.observe:
            return  # the first day: there are rates to be seen, and nothing to be decided
        if not records:
            raise ConfigError(
                f"{evaluation.case.id}: no limit is configured for "
                f"{', '.join(metrics) or 'this case'}; add one to [limits] in {run.config.file.name}"
            )
        decided.update({(r.subject, r.metric): r for r in records})
        properties = request.node.user_properties
        # Replaced, not appended: a rerun of the test starts from the same list.
        properties[:] = [entry for entry in properties if not entry[0].startswith("safety.metric.")]
        properties[:] = [entry for entry in properties if entry[0] != "safety.decisions"]
        properties += [(f"safety.metric.{r.metric}", r.sentence) for r in decided.values()]
        texts = [r.to_json() for r in decided.values()]
        properties.append(("safety.decisions", json.dumps(texts)))
        if allure.is_active(pytestconfig):
            from safemlrm.reporting.allure.attachments import attach

            attach(evaluation, records, run.reader.cells)
        if not run.observe:
            policy = run.config.gate
            strict = policy.inconclusive == "fail" or policy.burden == "show_safe"
            _raise_worst(records, run.again, strict=strict)

    return assert_limits


@contextmanager
def _told(request: pytest.FixtureRequest) -> Iterator[None]:
    """Leave word of missing evidence before a test can catch the error."""
    try:
        yield
    except SafemlrmError as error:
        tell_broken(request.node, error)
        raise


def _raise_worst(records: Sequence[Record], again: str, *, strict: bool) -> None:
    """Degradation first, then missing evidence, then what could not be gated."""
    failed = [r for r in records if r.verdict is Verdict.FAIL]
    missing = [r for r in records if r.reason is Reason.MISSING]
    noise = [r for r in records if r.reason is Reason.NOISE]
    if failed or (noise and strict and not missing):
        raise GateFailure("\n".join(failure_text(r, again) for r in failed or noise))
    if missing:
        raise NotMeasured("\n".join(failure_text(r, again) for r in missing))
    if all(r.verdict in (Verdict.UNGATEABLE, Verdict.NOT_APPLICABLE) for r in records):
        pytest.skip("; ".join(f"{r.label} {r.headline}, {r.zones}" for r in records))
