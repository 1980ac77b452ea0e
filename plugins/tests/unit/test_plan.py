"""The plan is the union of what the selected cases need, the same for every order of selection."""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from safemlrm.config import load_config
from safemlrm.matrix import Matrix, build_matrix
from safemlrm.plan import Plan, Work, build_plan
from safemlrm.types import Case, Cell

CONFIG = """
[models.base]
engine = "scripted"
[models.good]
engine = "scripted"
[models.bad]
engine = "scripted"
[pairs.aligned]
base = "base"
candidate = "good"
[pairs.degraded]
base = "base"
candidate = "bad"
[pairs.alone]
candidate = "bad"
[scenarios.fraud]
[scenarios.sex]
prompts = 20
[attacks.direct]
[attacks.figstep]
"""


@pytest.fixture(scope="module")
def matrix(tmp_path_factory: pytest.TempPathFactory) -> Matrix:
    path = tmp_path_factory.mktemp("plan") / "safety.toml"
    path.write_text(CONFIG, "utf-8")
    return build_matrix(load_config(path))


def test_a_cell_two_pairs_share_is_asked_once(matrix: Matrix) -> None:
    plan = build_plan(matrix, [Case("aligned", "sex", "direct"), Case("degraded", "sex", "direct")])
    assert plan.work == (
        Work(Cell("base", "sex", "direct"), 20),
        Work(Cell("good", "sex", "direct"), 20),
        Work(Cell("bad", "sex", "direct"), 20),
    )


def test_bases_come_first(matrix: Matrix) -> None:
    assert build_plan(matrix, matrix.cases).models == ("base", "good", "bad")


def test_a_pair_without_a_base_asks_its_candidate_only(matrix: Matrix) -> None:
    assert build_plan(matrix, [Case("alone", "fraud", "direct")]).models == ("bad",)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.data())
def test_order_does_not_matter_and_json_round_trips(matrix: Matrix, data: st.DataObject) -> None:
    cases = data.draw(st.lists(st.sampled_from(matrix.cases)))
    plan = build_plan(matrix, cases, errors=len(cases) % 2)
    assert Plan.from_json(plan.to_json()) == plan
    assert build_plan(matrix, data.draw(st.permutations(cases)), errors=len(cases) % 2) == plan
