"""Collection: the safety marker -> parametrised tests, selected tests -> cases, typos -> errors."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence

import pytest

from safemlrm.config import suggest
from safemlrm.errors import ConfigError
from safemlrm.family import Family
from safemlrm.limits import METRIC
from safemlrm.matrix import Matrix
from safemlrm.types import ALL, Case, Tier

Names = Iterable[str] | None


def safety(
    *,
    pairs: Names = None,
    scenarios: Names = None,
    attacks: Names = None,
    metrics: Names = None,
) -> dict[str, Names]:
    """Validate a `safety(...)` marker by being called with its arguments."""
    return {"pairs": pairs, "scenarios": scenarios, "attacks": attacks, "metrics": metrics}


def parametrise(metafunc: pytest.Metafunc, matrix: Matrix, families: Mapping[str, Family]) -> None:
    """Give a test one item a case (`evaluation`) or one a pair (`tier`), marked with their slugs.

    With `metrics`, those are the subjects that have a limit on one of them, or that it is about where
    one only observes; without, the cases of harmful scenarios and of the scenarios that are named.
    Raises `ConfigError` for a marker that names something unknown or selects nothing.
    """
    try:
        arguments = _arguments(metafunc.definition)
        metrics, named = arguments.pop("metrics"), arguments["scenarios"] is not None
        cases = matrix.select(**arguments)
        limited = None if metrics is None else _limited(metrics, families)
        if limited is not None and metafunc.config.getoption("safety_observe"):
            limited |= _about(metrics, matrix)
    except (ConfigError, TypeError) as error:
        raise ConfigError(f"{metafunc.definition.nodeid}: {error}") from None
    if not {"safety_case", "safety_tier"} & set(metafunc.fixturenames):
        raise ConfigError(
            f"{metafunc.definition.nodeid}: a safety marker without the fixture `evaluation` or `tier` "
            "gates nothing; ask for one of them"
        )
    if "safety_case" in metafunc.fixturenames:
        if limited is None:
            harmful = [c for c in cases if matrix.scenarios[c.scenario].expectation == "refuse"]
            _give(metafunc, "safety_case", list(cases) if named else harmful, metrics)
        else:
            _give(metafunc, "safety_case", [c for c in cases if c in limited], metrics)
    if "safety_tier" in metafunc.fixturenames:
        _give(metafunc, "safety_tier", _tiers(cases, limited, families), metrics)


def _arguments(item: pytest.Item) -> dict[str, Names]:
    """Return what the safety markers of a test say together; a nearer one overrides a farther one.

    Raises `ConfigError` where two of one place say the same argument: one of them would not count.
    """
    arguments = safety()
    said: dict[object, set[str]] = {}
    for node in item.listchain():
        for marker in (mark for mark in node.own_markers if mark.name == "safety"):
            given = safety(*marker.args, **marker.kwargs)
            place = _place(node, marker)
            for name in marker.kwargs:
                if name in said.setdefault(place, set()):
                    where = "it" if node is item else f"{type(node).__name__.lower()} {node.name}"
                    raise ConfigError(
                        f"two safety markers on {where} give {name}, and only one can count; write "
                        "one marker with all of them, or a test for each"
                    )
                said[place].add(name)
                arguments[name] = given[name]
    return arguments


def _place(node: object, marker: pytest.Mark) -> object:
    """Return where a marker was written: a class holds those of its bases too, theirs first."""
    if isinstance(node, pytest.Class):
        for cls in node.obj.__mro__:
            own = cls.__dict__.get("pytestmark", [])
            marks = own if isinstance(own, list) else [own]
            if any(getattr(mark, "mark", mark) is marker for mark in marks):
                return cls
    return node


def _tiers(
    cases: Iterable[Case], limited: set[Case | Tier] | None, families: Mapping[str, Family]
) -> list[Tier]:
    """Return the pairs as wholes, then those of their scenarios that are compared with earlier runs."""
    chosen = list(cases)
    pairs = [Tier(pair) for pair in dict.fromkeys(case.pair for case in chosen)]
    scenarios = [Tier(*key) for key in dict.fromkeys((c.pair, c.scenario) for c in chosen)]
    if limited is None:
        limited = {h.subject for f in families.values() for h in f.hypotheses} | set(pairs)
    return [tier for tier in [*pairs, *scenarios] if tier in limited]


def _limited(metrics: Names, families: Mapping[str, Family]) -> set[Case | Tier]:
    """Return the subjects that have a limit on one of the metrics."""
    wanted = _wanted(metrics)
    check_metrics("safety(metrics=...)", wanted)
    return {h.subject for f in families.values() for h in f.hypotheses if h.metric.name in wanted}


def _about(metrics: Names, matrix: Matrix) -> set[Case | Tier]:
    """Return the subjects the metrics are about, limited or not: what a first day looks at."""
    found: set[Case | Tier] = set()
    for metric in map(METRIC.__getitem__, _wanted(metrics)):
        for pair, (_, base) in matrix.pairs.items():
            plain = metric.against == "plain"
            cases = matrix.cases_of(pair, metric.expectation, attacked=plain)
            if cases and (plain or metric.against == "nothing" or base is not None):
                found.update(cases if metric.scope == "case" else [Tier(pair)])
    return found


def _wanted(metrics: Names) -> list[str]:
    return [metrics] if isinstance(metrics, str) else list(metrics or ())


def check_metrics(where: str, names: Iterable[str]) -> None:
    """Refuse a metric that does not exist: a gate on nothing would pass."""
    for name in names:
        if name not in METRIC:
            raise ConfigError(f"{where}: unknown name {name!r}{suggest(name, METRIC)}")


def _give(
    metafunc: pytest.Metafunc, fixture: str, subjects: Sequence[Case | Tier], metrics: Names
) -> None:
    if not subjects and metrics and metafunc.config.getoption("safety_observe"):
        nothing = pytest.mark.skip(reason=f"no pair or scenario here can be asked for {metrics!r}")
        metafunc.parametrize(fixture, [pytest.param(None, id="none", marks=nothing)], indirect=True)
        return
    if not subjects:
        about = f"[limits] has no limit on {metrics!r}" if metrics else "it selects nothing"
        raise ConfigError(f"{metafunc.definition.nodeid}: the safety marker fits no case: {about}")
    metafunc.parametrize(fixture, [_param(subject) for subject in subjects], indirect=True)


def subject_of(item: pytest.Item) -> Case | Tier | None:
    """Return the case or pair an item stands for, None for tests of other kinds."""
    callspec = getattr(item, "callspec", None)
    if callspec is None:
        return None
    found = callspec.params.get("safety_case", callspec.params.get("safety_tier"))
    return found if isinstance(found, Case | Tier) else None


def needs(items: Iterable[pytest.Item], matrix: Matrix) -> tuple[list[Case], list[Case]]:
    """Return the cases the items need whole, and those they need no base of.

    A pair as a whole needs all of its cases; a scenario is only compared with earlier runs.
    """
    whole: list[Case] = []
    alone: list[Case] = []
    for subject in map(subject_of, items):
        if isinstance(subject, Case):
            whole.append(subject)
        elif subject is not None and subject.scenario == ALL:
            whole += matrix.cases_of(subject.pair)
        elif subject is not None:
            alone += [c for c in matrix.cases_of(subject.pair) if c.scenario == subject.scenario]
    return whole, alone


def check_expression(expression: str, slugs: Iterable[str], markers: Iterable[str]) -> None:
    """Refuse a name in `-m` that no marker has: a typo would deselect everything, or nothing.

    Raises `ConfigError` if an unknown name resembles one of the slugs.
    """
    names = set(re.findall(r"[A-Za-z_]\w*", expression)) - {"and", "or", "not", "True", "False"}
    known = set(slugs)
    for name in sorted(names - known - {re.split(r"[:(]", m)[0].strip() for m in markers}):
        hint = suggest(name, known)
        if "did you mean" in hint:
            raise ConfigError(f"-m {expression!r}: no marker is called {name!r}{hint}")


def _param(subject: Case | Tier) -> object:
    slugs = [part for part in (subject.pair, subject.scenario, subject.attack) if part != ALL]
    marks = [getattr(pytest.mark, slug) for slug in slugs]
    return pytest.param(subject, id=subject.id, marks=marks)
