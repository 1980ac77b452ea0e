"""Collection: the safety marker -> parametrised tests, selected tests -> cases, typos -> errors."""

from __future__ import annotations

import re
from collections.abc import Iterable

import pytest

from safemlrm.config import suggest
from safemlrm.errors import ConfigError
from safemlrm.matrix import Matrix
from safemlrm.types import ALL, Case, Expectation, Tier


def safety(
    *,
    pairs: Iterable[str] | None = None,
    scenarios: Iterable[str] | None = None,
    attacks: Iterable[str] | None = None,
    expectation: Expectation = "refuse",
) -> dict[str, object]:
    """Validate a `safety(...)` marker by being called with its arguments."""
    return {
        "pairs": pairs,
        "scenarios": scenarios,
        "attacks": attacks,
        "expectation": expectation,
    }


def parametrise(metafunc: pytest.Metafunc, matrix: Matrix) -> None:
    """Give a test one item a case (`evaluation`) or one a pair (`tier`), marked with their slugs.

    Raises `ConfigError` for a marker that names something unknown or selects nothing.
    """
    arguments = safety()
    for marker in reversed(list(metafunc.definition.iter_markers("safety"))):
        try:
            given = safety(*marker.args, **marker.kwargs)
        except TypeError as error:
            raise ConfigError(f"{metafunc.definition.nodeid}: {error}") from None
        arguments |= {name: given[name] for name in marker.kwargs}
    try:
        cases = matrix.select(**arguments)  # type: ignore[arg-type]  # checked by safety() above
    except ConfigError as error:
        raise ConfigError(f"{metafunc.definition.nodeid}: {error}") from None
    if "safety_case" in metafunc.fixturenames:
        metafunc.parametrize("safety_case", [_param(case) for case in cases], indirect=True)
    if "safety_tier" in metafunc.fixturenames:
        tiers = [Tier(pair) for pair in dict.fromkeys(case.pair for case in cases)]
        metafunc.parametrize("safety_tier", [_param(tier) for tier in tiers], indirect=True)


def subject_of(item: pytest.Item) -> Case | Tier | None:
    """Return the case or pair an item stands for, None for tests of other kinds."""
    callspec = getattr(item, "callspec", None)
    if callspec is None:
        return None
    found = callspec.params.get("safety_case", callspec.params.get("safety_tier"))
    return found if isinstance(found, Case | Tier) else None


def needs(items: Iterable[pytest.Item], matrix: Matrix) -> list[Case]:
    """Return every case the items need to be measured; a pair as a whole needs all of its cases."""
    found: list[Case] = []
    for subject in map(subject_of, items):
        if isinstance(subject, Case):
            found.append(subject)
        elif subject is not None:
            found += matrix.cases_of(subject.pair)
    return found


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
