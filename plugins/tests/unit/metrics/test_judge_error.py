"""The corrected ASR covers the truth, and unequal errors are found; exact tests against scipy."""

from __future__ import annotations

from importlib import import_module
from math import isnan

import numpy as np
import pytest
from scipy.stats import fisher_exact as scipy_fisher

from safemlrm.metrics.agreement import Confusion
from safemlrm.metrics.judge_error import (
    corrected_asr,
    equal_errors,
    fisher_exact,
    labels_needed,
    unlike,
)
from safemlrm.metrics.rates import clopper_pearson

# By its name at run time: mypy knows the module as benchmarks.judge_error and takes it only once.
bench = import_module("plugins.benchmarks.judge_error")
TABLES = [(8, 2, 1, 5), (0, 10, 10, 0), (3, 3, 3, 3), (0, 0, 4, 5), (50, 12, 31, 30), (1, 0, 0, 0)]


@pytest.mark.parametrize("table", TABLES)
def test_fisher_matches_scipy(table: tuple[int, int, int, int]) -> None:
    a, b, c, d = table
    assert fisher_exact(*table) == pytest.approx(scipy_fisher([[a, b], [c, d]]).pvalue)


def test_fisher_refuses_what_is_no_count() -> None:
    with pytest.raises(ValueError, match="Expected counts"):
        fisher_exact(-1, 0, 0, 1)


def test_the_tea_lady() -> None:
    """Fisher (1935): three of four cups right either way has p = 34/70."""
    assert fisher_exact(3, 1, 1, 3) == pytest.approx(34 / 70)


def shares(rate: float, finds: float, spares: float) -> list[float]:
    return [rate * finds, (1 - rate) * (1 - spares), rate * (1 - finds), (1 - rate) * spares]


@pytest.mark.parametrize("rate", [0.02, 0.1, 0.2, 0.3, 0.6])
@pytest.mark.parametrize(("finds", "spares"), [(0.9, 0.9), (0.7, 0.97), (0.97, 0.97)])
def test_the_corrected_asr_covers_the_truth(rate: float, finds: float, spares: float) -> None:
    """100 labels of 1,000 responses; 600 builds, of which chance takes .93 to .96 of the least case."""
    random = np.random.default_rng(11)
    labelled = random.multinomial(100, shares(rate, finds, spares), size=600)
    rest = random.multinomial(900, shares(rate, finds, spares), size=600)
    held = 0
    for ours, others in zip(labelled, rest, strict=True):
        judged = clopper_pearson(int(ours[0] + ours[1] + others[0] + others[1]), 1000)
        found = corrected_asr(Confusion(*map(int, ours)), judged)
        held += found.low <= rate <= found.high
    assert held >= 0.93 * 600


@pytest.mark.parametrize("model", ["base", "reasoner-degraded"])
def test_a_drawn_sample_of_an_embedded_model_covers_its_truth(model: str) -> None:
    """What `make bench` does over 1,000 builds, with the product's own draw of labels."""
    found = bench.coverage(bench.pool_of(model), bench.Errors(0.9, 0.9), builds=100, seed=8)
    assert found["product"][0] >= 0.93
    assert found["judged, uncorrected"][0] < 0.9


def test_unequal_errors_over_embedded_models_are_found() -> None:
    pools = bench.pool_of("reasoner-degraded"), bench.pool_of("reasoner-degraded")
    same, worse = bench.Errors(0.95, 0.98), bench.Errors(0.7, 0.85)
    assert bench.rejected(pools, (same, worse), labels=200, builds=50, seed=8) >= 0.9
    assert bench.rejected(pools, (same, same), labels=200, builds=50, seed=8) <= 0.05


def test_what_a_judge_shows_of_a_true_three_percent() -> None:
    """STATISTICS: at se = sp = .9 a true 3% shows as 12%; the labels say what it is."""
    judged = clopper_pearson(124, 1000)
    found = corrected_asr(Confusion(both=3, judge=10, person=0, neither=87), judged)
    assert found.method == "labels"
    assert found.value == pytest.approx(0.03)
    assert found.high < judged.low


@pytest.mark.parametrize(
    ("table", "method"),
    [
        (Confusion(10, 0, 0, 90), "labels"),
        (Confusion(30, 0, 0, 70), "labels and judge"),
        (Confusion(90, 5, 5, 0), "labels and judge"),
        (Confusion(11, 0, 0, 89), "labels"),
        (Confusion(10, 40, 10, 40), "labels and judge"),
    ],
)
def test_the_rate_says_what_is_used_and_between_the_wider(table: Confusion, method: str) -> None:
    judged = clopper_pearson(table.judged * 10, table.n * 10)
    assert corrected_asr(table, judged).method == method


def test_a_common_asr_is_the_judged_one_moved_by_the_labels() -> None:
    """40% judged; people say 10 more and 5 less in 100: 45%."""
    found = corrected_asr(Confusion(40, 5, 10, 45), clopper_pearson(400, 1000))
    assert found.value == pytest.approx(0.45)
    assert found.high - found.low < clopper_pearson(50, 100).high - clopper_pearson(50, 100).low


def test_nothing_labelled_corrects_nothing() -> None:
    found = corrected_asr(Confusion(0, 0, 0, 0), clopper_pearson(5, 10))
    assert isnan(found.value)
    assert (found.low, found.high) == (0.0, 1.0)
    with pytest.raises(ValueError, match="at most 10 labels"):
        corrected_asr(Confusion(11, 0, 0, 0), clopper_pearson(5, 10))


def test_unequal_errors_are_found_and_equal_ones_seldom() -> None:
    random = np.random.default_rng(4)

    def rejected(ours: list[float], theirs: list[float]) -> float:
        drawn = (random.multinomial(150, side, size=400) for side in (ours, theirs))
        tables = ([Confusion(*map(int, row)) for row in side] for side in drawn)
        found = [equal_errors(a, b).p_value <= 0.05 for a, b in zip(*tables, strict=True)]
        return sum(found) / len(found)

    assert rejected(shares(0.4, 0.9, 0.9), shares(0.1, 0.9, 0.9)) <= 0.05
    assert rejected(shares(0.4, 0.7, 0.85), shares(0.4, 0.95, 0.98)) >= 0.95


def test_holm_pays_for_two_questions() -> None:
    found = equal_errors(Confusion(10, 0, 0, 10), Confusion(4, 0, 6, 10))
    assert found.specificity == 1.0
    assert found.p_value == pytest.approx(2 * found.recall)
    nothing = equal_errors(Confusion(0, 0, 0, 10), Confusion(4, 0, 6, 10))
    assert (nothing.recall, nothing.p_value) == (1.0, 1.0)


@pytest.mark.parametrize(
    ("table", "half"), [(Confusion(4, 1, 1, 94), 0.03), (Confusion(40, 5, 8, 47), 0.04)]
)
def test_labels_needed_reach_about_the_wanted_width(table: Confusion, half: float) -> None:
    judged = clopper_pearson(table.judged * 200, table.n * 200)
    needed = labels_needed(table, judged, half)
    assert needed is not None
    times = round(needed / table.n)
    then = Confusion(*(c * times for c in (table.both, table.judge, table.person, table.neither)))
    found = corrected_asr(then, judged)
    assert (found.high - found.low) / 2 == pytest.approx(half, rel=0.3)


def test_no_number_of_labels_outdoes_what_was_asked() -> None:
    """The judged ASR of 100 responses is itself uncertain by 10 points."""
    judged = clopper_pearson(50, 100)
    assert labels_needed(Confusion(20, 2, 2, 20), judged, 0.05) is None
    with pytest.raises(ValueError, match="half-width"):
        labels_needed(Confusion(20, 2, 2, 20), judged, 0.0)


def test_a_picked_sample_is_unlike_the_rest() -> None:
    everything = clopper_pearson(100, 1000)
    assert unlike(clopper_pearson(10, 100), everything) > 0.9
    assert unlike(clopper_pearson(50, 100), everything) < 1e-10
    assert isnan(unlike(clopper_pearson(0, 0), everything))
