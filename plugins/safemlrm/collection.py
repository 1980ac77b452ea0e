"""Collection: the safety marker -> parametrised tests, selected tests -> cases, typos -> errors."""

from __future__ import annotations

import re
from collections.abc import Iterable

import pytest

from safemlrm.config import suggest
from safemlrm.errors import ConfigError
from safemlrm.matrix import Matrix
from safemlrm.types import Case, Expectation


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
    """Give a test that asks for an evaluation one item a case, marked with the case's slugs.

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
    metafunc.parametrize("safety_case", [_param(case) for case in cases], indirect=True)


def case_of(item: pytest.Item) -> Case | None:
    """Return the case an item stands for, None for tests of other kinds."""
    callspec = getattr(item, "callspec", None)
    case = None if callspec is None else callspec.params.get("safety_case")
    return case if isinstance(case, Case) else None


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


def _param(case: Case) -> object:
    marks = [getattr(pytest.mark, slug) for slug in (case.pair, case.scenario, case.attack)]
    return pytest.param(case, id=case.id, marks=marks)
