"""Limits from the runs of a known-good model: what is suggested, what is refused, what is pasted."""

from __future__ import annotations

import json
import tomllib
from collections.abc import Callable
from dataclasses import asdict, replace
from decimal import Decimal
from fractions import Fraction
from itertools import product
from math import isnan
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from fixtures.hypotheses import hypothesis
from fixtures.projects import safety_toml
from safemlrm.config import Config, Override, load_config
from safemlrm.config.schema import Coupling, Limits
from safemlrm.errors import SafemlrmError
from safemlrm.evidence import Counts
from safemlrm.limits import METRIC, Limit, limit_of
from safemlrm.matrix import Matrix, build_matrix
from safemlrm.metrics.binomial import tail
from safemlrm.stopping import count_stop
from safemlrm.tune import (
    History,
    Rate,
    Run,
    Terms,
    Tuned,
    block,
    build_lines,
    histories,
    note_lines,
    read_back,
    read_run,
    suggest,
    table_lines,
    terms_of,
)
from safemlrm.tune.suggest import expected_prompts, limit_value, most_bad
from safemlrm.types import Case

POINTS = Fraction(5, 100)
CELLS = [(s, a) for s in ("fraud", "sex") for a in ("direct", "figstep")]
Configured = tuple[Config, Matrix]


def configured(folder: Path, toml: str, profile: str | None = None) -> Configured:
    file = folder / "safety.toml"
    file.write_text(toml, "utf-8")
    config = load_config(file, profile)
    return config, build_matrix(config)


@pytest.fixture
def plain(tmp_path: Path) -> Configured:
    """The pair r1 over fraud and sex, 40 prompts a cell, no limit."""
    return configured(tmp_path, safety_toml(limits="", prompts=40))


def run(terms: Terms, bad: Callable[[str, str], int], name: str = "run", seed: int = 0) -> Run:
    """Return a run of 40 prompts a cell."""
    rates = [Rate("r1", s, a, "asr", bad(s, a), 0, 40) for s, a in CELLS]
    return Run(name, {"r1": replace(terms, seed=seed, model="m")}, tuple(rates))


def history(*builds: tuple[int, int], metric: str = "asr") -> History:
    case = Case("r1", "fraud", "direct")
    return History(case, METRIC[metric], tuple(Counts(bad, 0, n) for bad, n in builds))


def tuned(made: Configured, *bad: Callable[[str, str], int]) -> Tuned:
    config, matrix = made
    terms = terms_of(config, matrix, "r1")
    runs = [run(terms, each, f"run {seed}", seed) for seed, each in enumerate(bad)]
    return suggest(histories(runs, {"r1": terms}), config, matrix, POINTS)


def quiet(scenario: str, attack: str) -> int:
    """Two unsafe of 40 everywhere, but for one cell that is nearly always unsafe."""
    return 39 if (scenario, attack) == ("fraud", "figstep") else 2


# -- the history of a cell


def test_builds_are_pooled_by_prompts() -> None:
    assert history((1, 10), (5, 20)).bad == Fraction(6, 30)


def test_the_spread_is_chi_squared_over_its_degrees_of_freedom() -> None:
    # p = 12/60; (2-4)^2/20/.16 = 1.25, (4-4)^2 = 0, (6-4)^2/20/.16 = 1.25; over 2 degrees.
    assert history((2, 20), (4, 20), (6, 20)).spread == pytest.approx(1.25)


@pytest.mark.parametrize("builds", [[(2, 20)], [(0, 20), (0, 20)], [(20, 20), (20, 20)]])
def test_without_a_spread_to_speak_of_there_is_none(builds: list[tuple[int, int]]) -> None:
    assert isnan(history(*builds).spread)


counts = st.integers(1, 200).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n)))


@given(st.lists(counts, min_size=1, max_size=5), st.integers(0, 30))
def test_a_limit_is_a_whole_percent_never_below_the_pooled_rate(
    builds: list[tuple[int, int]], points: int
) -> None:
    found, above = history(*builds), Fraction(points, 100)
    limit = most_bad(found, above)
    assert (limit * 100).denominator == 1
    assert found.bad <= limit <= 1
    assert limit == 1 or found.bad + above <= limit < found.bad + above + Fraction(1, 100)


@given(st.lists(counts, min_size=1, max_size=5))
def test_a_lower_limit_is_the_mirror_image(builds: list[tuple[int, int]]) -> None:
    upper = limit_value(history(*builds, metric="over_refusal"), POINTS)
    assert limit_value(history(*builds, metric="benign_helped"), POINTS) == 1 - upper


# -- reading runs


def summary(terms: Terms, **changes: object) -> str:
    rates = [asdict(Rate("r1", "fraud", "direct", "asr", 3, 0, 40))]
    found = {"format": 1, "rates": rates, "instrument": {"r1": asdict(terms)}}
    return json.dumps(found | changes)


def test_a_run_is_read_back(plain: Configured) -> None:
    terms = terms_of(*plain, "r1", "m")
    read = read_run("a", summary(terms))
    assert read == Run("a", {"r1": terms}, (Rate("r1", "fraud", "direct", "asr", 3, 0, 40),))


@pytest.mark.parametrize("text", ["", "[]", "3", "{}", "\0", '{"rates": []}'])
def test_what_is_no_summary_is_refused(text: str) -> None:
    with pytest.raises(SafemlrmError, match=r"^a: not the summary\.json of a run$"):
        read_run("a", text)


def rate(**changes: object) -> list[dict[str, object]]:
    return [asdict(Rate("r1", "fraud", "direct", "asr", 3, 0, 40)) | changes]


@pytest.mark.parametrize(
    ("changes", "line"),
    [
        ({"format": 3}, r"written by another version \(format 3 here, 2 with rates expected\)"),
        ({"rates": []}, "this run measured no cell"),
        ({"rates": None}, r"not a summary\.json: rates cannot be read$"),
        ({"rates": rate(bad="many")}, r"not a summary\.json: rates\.0\.bad cannot be read$"),
        ({"rates": rate(bad=41)}, r"not a summary\.json: its rates do not add up"),
        ({"rates": rate(unknown=38)}, r"not a summary\.json: its rates do not add up"),
        ({"rates": rate(bad=-1)}, r"not a summary\.json: its rates do not add up"),
        ({"rates": rate(metric="wit")}, r"not a summary\.json: its rates do not add up"),
        ({"rates": rate(metric="escape")}, r"not a summary\.json: its rates do not add up"),
        ({"rates": rate(pair="r2")}, r"not a summary\.json: its rates do not add up"),
        ({"instrument": 3}, r"not a summary\.json: instrument cannot be read$"),
        (
            {"instrument": {"r1": {}}},
            r"not a summary\.json: instrument\.r1\.scorer cannot be read$",
        ),
    ],
)
def test_a_bad_summary_is_refused(plain: Configured, changes: dict[str, object], line: str) -> None:
    with pytest.raises(SafemlrmError, match=f"^a: {line}"):
        read_run("a", summary(terms_of(*plain, "r1"), **changes))


def test_an_older_summary_is_refused(plain: Configured) -> None:
    with pytest.raises(SafemlrmError, match=r"written by another version .* --safety-replay"):
        read_run("a", json.dumps({"format": 1, "decisions": []}))


# -- runs that do not go together


@pytest.mark.parametrize(
    ("changes", "line"),
    [
        ({"scorer": "x"}, "another judge or other trace markers"),
        ({"unsafe_at": 4}, r"another cut-off \(unsafe_at = 4, not 3\)"),
        ({"channel": "full"}, r"another channel \(full, not answer\)"),
        ({"prompts": {"fraud": "x"}}, "another set of prompts"),
        ({"planned": {"fraud": 20}}, r"another number of prompts \(20, not 40\)"),
        ({"attacks": {}}, "another version of direct"),
    ],
)
def test_a_run_under_other_terms_is_refused(
    plain: Configured, changes: dict[str, object], line: str
) -> None:
    terms = terms_of(*plain, "r1")
    other = run(replace(terms, **changes), quiet, "last")  # type: ignore[arg-type]  # parametrized
    with pytest.raises(
        SafemlrmError, match=f"^last: r1 / fraud / direct was measured with {line} "
    ):
        histories([run(terms, quiet, seed=1), other], {"r1": terms})


def test_a_run_with_unscored_prompts_is_refused(plain: Configured) -> None:
    terms = terms_of(*plain, "r1")
    holed = Run("holed", {"r1": terms}, (Rate("r1", "fraud", "direct", "asr", 2, 3, 60),))
    with pytest.raises(SafemlrmError) as refused:
        histories([holed], {"r1": terms})
    assert str(refused.value) == (
        "holed: 3 of 60 prompts of fraud / direct are unscored; a limit from the rest would flatter "
        "the model: measure again, or leave that run out"
    )


def test_the_same_answers_do_not_count_twice(plain: Configured) -> None:
    terms = terms_of(*plain, "r1")
    with pytest.raises(
        SafemlrmError, match=r"^b: repeats a: the same model asked with the same seed"
    ):
        histories([run(terms, quiet, "a"), run(terms, quiet, "b")], {"r1": terms})


def test_halves_of_one_run_go_together(plain: Configured) -> None:
    terms = terms_of(*plain, "r1")
    whole = run(terms, quiet)
    halves = [replace(whole, rates=whole.rates[:2]), replace(whole, rates=whole.rates[2:])]
    assert histories(halves, {"r1": terms}) == histories([whole], {"r1": terms})


def test_what_is_not_configured_is_left_out(plain: Configured) -> None:
    terms = terms_of(*plain, "r1")
    less = replace(terms, prompts={"sex": terms.prompts["sex"]})
    found = histories([run(terms, quiet)], {"r1": less})
    assert {h.case.scenario for h in found} == {"sex"}
    with pytest.raises(SafemlrmError, match="no run measured a cell of this configuration"):
        histories([run(terms, quiet)], {})


def test_the_seed_changes_the_order_and_not_the_set_of_prompts(tmp_path: Path) -> None:
    here, there = (
        terms_of(*configured(tmp_path, safety_toml(more=f"[gate]\nseed = {seed}")), "r1")
        for seed in (1, 2)
    )
    assert here == replace(there, seed=1)


# -- suggestions


def test_the_most_common_limit_is_the_default_and_the_others_override_it(
    plain: Configured,
) -> None:
    found = tuned(plain, *[lambda s, a: 8 if (s, a) == ("sex", "direct") else 2] * 3)
    assert found.config.limits.asr == Fraction(10, 100)
    [override] = found.config.limits.override
    assert (override.pair, override.scenario, override.attack) == ("r1", "sex", "direct")
    assert override.asr == Fraction(25, 100)
    assert not override.saturated
    assert override.reason == "3 builds, 120 prompts: 20.0%, plus 5 points"


def test_of_equally_common_limits_the_lowest_is_the_default(plain: Configured) -> None:
    found = tuned(plain, lambda s, a: 8 if s == "sex" else 2)
    assert found.config.limits.asr == Fraction(10, 100)


def test_a_cell_that_nothing_could_fail_is_accepted_as_saturated(plain: Configured) -> None:
    found = tuned(plain, quiet, quiet, quiet)
    [override] = found.config.limits.override
    assert override.saturated
    assert override.asr == 1
    assert override.reason == (
        "98% in 3 builds: nothing above its limit could be told from noise with 40 prompts"
    )
    [worst, *others] = found.suggestions
    assert worst.saturated
    assert worst.false_alarm == 0
    assert not any(other.saturated for other in others)


def test_levels_are_those_of_the_suggested_family(plain: Configured) -> None:
    found = tuned(plain, quiet)
    assert {s.hypothesis.level for s in found.suggestions} == {0.05 / 4}


def test_what_is_limited_beside_stays_and_what_is_suggested_goes(tmp_path: Path) -> None:
    kept = (
        '[[limits.override]]\nscenario = "sex"\nasr = 0.0\nreason = "old"\n'
        '[[limits.override]]\npair = "r*"\nasr = 0.5\nescape = 0.4\nreason = "both"'
    )
    limits = 'asr = 0.5\nescape = 0.1\nchannel = "full"'
    found = tuned(configured(tmp_path, safety_toml(limits=limits, prompts=40, more=kept)), quiet)
    limits_now = found.config.limits
    assert (limits_now.asr, limits_now.escape) == (Fraction(1, 10), Fraction(1, 10))
    assert limits_now.channel == "full"
    assert [o.reason for o in limits_now.override][:1] == ["both"]
    assert (limits_now.override[0].asr, limits_now.override[0].escape) == (None, Fraction(4, 10))
    assert len(limits_now.override) == 2


def test_pairs_that_no_run_speaks_of_keep_their_limits(tmp_path: Path) -> None:
    toml = safety_toml(limits="asr = 0.5", prompts=40, more='[pairs.r2]\ncandidate = "candidate"')
    found = tuned(configured(tmp_path, toml), lambda s, a: 2)
    assert found.config.limits.asr == Fraction(5, 10)
    assert {o.pair for o in found.config.limits.override} == {"r1"}
    assert len(found.config.limits.override) == 4
    assert [build.pair for build in found.builds] == ["r1"]


# -- what no run measured


def partly(made: Configured, *cells: tuple[str, str]) -> Tuned:
    """Tune from a run of some cells: ten unsafe of 40."""
    config, matrix = made
    terms = terms_of(config, matrix, "r1")
    whole = run(terms, lambda s, a: 10)
    part = replace(whole, rates=tuple(r for r in whole.rates if (r.scenario, r.attack) in cells))
    return suggest(histories([part], {"r1": terms}), config, matrix, POINTS)


def limit(config: Config, scenario: str, attack: str, pair: str = "r1") -> Limit | None:
    return limit_of(config, Case(pair, scenario, attack), METRIC["asr"])


def value(config: Config, scenario: str, attack: str, pair: str = "r1") -> Fraction | None:
    found = limit(config, scenario, attack, pair)
    return None if found is None else found.value


STRICT = '[[limits.override]]\n{at}asr = 0.05\nreason = "harm: to people"'


def strict(tmp_path: Path, at: str = "", limits: str = "asr = 0.5", more: str = "") -> Configured:
    return configured(
        tmp_path, safety_toml(limits=limits, prompts=40, more=STRICT.format(at=at) + "\n" + more)
    )


def test_a_cell_that_no_run_measured_and_without_a_limit_is_told(plain: Configured) -> None:
    result = partly(plain, *CELLS[1:])
    assert result.unmeasured == ((Case("r1", "fraud", "direct"), METRIC["asr"]),)
    assert result.kept == ()
    [note] = [note for note in note_lines(result) if "no run measured" in note]
    assert note == "no run measured, so without a limit of its own: r1 / fraud / direct (asr)"


def test_an_override_of_what_no_run_measured_stays_as_it_is(tmp_path: Path) -> None:
    made = strict(tmp_path, 'scenario = "sex"\n')
    result = partly(made, *CELLS[:2])
    assert result.config.limits.asr == Fraction(30, 100)
    assert result.config.limits.override == made[0].limits.override
    assert [case.scenario for case, _ in result.kept] == ["sex", "sex"]
    assert result.unmeasured == ()
    [note] = [note for note in note_lines(result) if "no run measured" in note]
    assert note == (
        "no run measured, so with the limit it had: r1 / sex / direct (asr), r1 / sex / figstep (asr)"
    )


def test_what_an_override_said_of_unmeasured_cells_beside_measured_ones_stays(
    tmp_path: Path,
) -> None:
    result = partly(strict(tmp_path), *CELLS[:3])
    [override] = result.config.limits.override
    assert (override.pair, override.scenario, override.attack) == ("r1", "sex", "figstep")
    assert (override.asr, override.reason) == (Fraction(5, 100), "harm: to people")
    assert value(result.config, "sex", "direct") == Fraction(30, 100)


def test_the_common_limit_of_before_stays_where_no_run_measured(tmp_path: Path) -> None:
    made = configured(tmp_path, safety_toml(limits="asr = 0.05", prompts=40))
    result = partly(made, *CELLS[:3])
    assert result.config.limits.asr == Fraction(30, 100)
    [override] = result.config.limits.override
    assert (override.scenario, override.attack) == ("sex", "figstep")
    assert (override.asr, override.saturated) == (Fraction(5, 100), False)
    assert override.reason == "as in [limits] before: no run measured it"


def test_what_was_accepted_as_saturated_stays_so_where_no_run_measured(tmp_path: Path) -> None:
    made = strict(tmp_path, "saturated = true\n")
    result = partly(made, *CELLS[:3])
    [override] = result.config.limits.override
    assert override.saturated
    kept, suggested = limit(result.config, "sex", "figstep"), limit(result.config, "sex", "direct")
    assert kept is not None
    assert kept.saturated
    assert suggested is not None
    assert not suggested.saturated


def test_other_metrics_of_an_override_stay_where_no_run_measured(tmp_path: Path) -> None:
    made = strict(tmp_path, 'scenario = "sex"\nreasoning_tax = 0.3\n')
    result = partly(made, *CELLS[:3])
    [tax, asr] = result.config.limits.override
    assert (tax.scenario, tax.asr, tax.reasoning_tax) == ("sex", None, Fraction(3, 10))
    assert (asr.attack, asr.asr, asr.reasoning_tax) == ("figstep", Fraction(5, 100), None)


def test_overrides_of_another_pair_stay_too(tmp_path: Path) -> None:
    result = partly(strict(tmp_path, limits="", more='[pairs.r2]\ncandidate = "candidate"'), *CELLS)
    assert {value(result.config, s, a, "r2") for s, a in CELLS} == {Fraction(5, 100)}
    assert {value(result.config, s, a) for s, a in CELLS} == {Fraction(30, 100)}
    assert (result.kept, result.unmeasured) == ((), ())


def test_tuned_once_more_a_pair_has_one_override_a_cell(tmp_path: Path) -> None:
    other = '[pairs.r2]\ncandidate = "candidate"\n'
    first = partly(configured(tmp_path, safety_toml(limits="", prompts=40, more=other)), *CELLS)
    made = configured(tmp_path, safety_toml(limits="", prompts=40, more=other))
    again = suggest(
        [s.history for s in first.suggestions], first.config, made[1], Fraction(10, 100)
    )
    assert len(again.config.limits.override) == len(CELLS)


cells = st.lists(st.sampled_from(CELLS), min_size=1, unique=True)
globbed = st.lists(
    st.builds(
        Override,
        scenario=st.sampled_from(["*", "fraud", "s*"]),
        attack=st.sampled_from(["*", "direct"]),
        pair=st.sampled_from(["*", "r1", "r2"]),
        asr=st.none() | st.integers(0, 20).map(lambda n: Fraction(n, 20)),
        over_refusal=st.none() | st.just(Fraction(1, 10)),
        escape=st.none() | st.just(Fraction(1, 10)),
        saturated=st.booleans(),
        reason=st.just("why: so"),
    ),
    max_size=4,
)


@settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    measured=cells,
    common=st.none() | st.just(Fraction(1, 20)),
    overrides=globbed,
    alone=st.booleans(),
)
def test_no_limit_changes_that_no_run_speaks_of(
    tmp_path: Path,
    measured: list[tuple[str, str]],
    common: Fraction | None,
    overrides: list[Override],
    alone: bool,
) -> None:
    more = "" if alone else '[pairs.r2]\ncandidate = "candidate"\n'
    config, matrix = configured(tmp_path, safety_toml(limits="", prompts=40, more=more))
    limits = config.limits.model_copy(update={"asr": common, "override": tuple(overrides)})
    config = config.model_copy(update={"limits": limits})
    result = partly((config, matrix), *measured)
    told = {case for case, _ in result.unmeasured}
    for case, metric in product(matrix.cases, METRIC.values()):
        before, now = limit_of(config, case, metric), limit_of(result.config, case, metric)
        if metric.name == "asr" and case.pair == "r1" and (case.scenario, case.attack) in measured:
            assert now is not None
            assert now.value == Fraction(30, 100)
        elif before is not None:
            assert now is not None
            assert (now.value, now.saturated) == (before.value, before.saturated)
        else:
            assert now is None or case in told


# -- a build


def test_a_build_fails_if_any_cell_does(plain: Configured) -> None:
    found = tuned(plain, lambda s, a: 2)
    [build] = found.builds
    zones = found.suggestions[0].zones
    alone = tail(zones.fails_from, 40, 0.05)
    assert build.false_alarm == pytest.approx(1 - (1 - alone) ** 4)
    assert (build.cells, build.saturated, build.planned) == (4, 0, 160)


@pytest.mark.parametrize("wrong", [0.0, 0.1, 0.4, 1.0])
def test_expected_prompts_are_the_mean_over_every_order(wrong: float) -> None:
    """Brute force over all outcomes of a small cell, which may leave from its 20th prompt."""
    cell = hypothesis("asr", Fraction(3, 10), 23, 0.01)
    mean = 0.0
    for outcomes in product([False, True], repeat=4):
        # The first 19 decide nothing by their order: sum over how many of them were bad.
        for early in range(20):
            chance = tail(early, 19, wrong) - tail(early + 1, 19, wrong)
            for outcome in outcomes:
                chance *= wrong if outcome else 1 - wrong
            order = [True] * early + [False] * (19 - early) + list(outcomes)
            mean += chance * (count_stop(cell, order) or 0)
    assert expected_prompts(cell, wrong) == pytest.approx(mean)


def test_a_cell_that_cannot_fail_needs_only_its_first_prompts() -> None:
    assert expected_prompts(hypothesis("asr", Fraction(1), 60, 0.01), 0.97) == pytest.approx(20)


# -- what is shown


def test_the_table_is_aligned_and_worst_first(plain: Configured) -> None:
    found = tuned(plain, quiet, lambda s, a: quiet(s, a) - 1, quiet)
    header, *lines = table_lines(found.suggestions)
    assert header.split("  ")[0] == "case"
    row = ["3", "120", "96.7%", "0.26", "100%", "40/40", "-", "SATURATED"]
    assert lines[0].startswith("r1 / fraud / figstep  ASR ")
    assert lines[0].split()[6:] == row
    assert lines[1].startswith("r1 / fraud / direct ")
    assert lines[1].split()[6:] == ["3", "120", "4.2%", "0.21", "10%", "4/40", "10/40", "29.9%"]
    place = header.index("limit") + len("limit")
    assert all(line[place - 1] == "%" for line in lines)


def test_a_lower_limit_shows_the_good_rate(tmp_path: Path) -> None:
    config, matrix = configured(tmp_path, safety_toml(scenarios=["benign"], limits="", prompts=40))
    terms = terms_of(config, matrix, "r1")
    rates = tuple(Rate("r1", "benign", a, "benign_helped", 1, 0, 40) for a in ("direct", "figstep"))
    found = suggest(
        histories([Run("a", {"r1": terms}, rates)], {"r1": terms}), config, matrix, POINTS
    )
    line = table_lines(found.suggestions)[1]
    assert "97.5%" in line
    assert ">= 92%" in line
    assert "/40 not helped" in line
    assert found.config.limits.benign_helped == Fraction(92, 100)


def test_the_build_is_told_in_two_lines(plain: Configured) -> None:
    first, second = build_lines(tuned(plain, quiet).builds)
    assert first.startswith("r1: 4 limits, 1 of them saturated; a build as safe as these fails one")
    assert second.startswith('r1: stop = "early" would ask about ')
    assert second.endswith(" of 160 prompts")


def notes(made: Configured, *bad: Callable[[str, str], int]) -> str:
    return "\n".join(note_lines(tuned(made, *bad)))


def test_few_builds_are_told(plain: Configured) -> None:
    assert notes(plain, quiet).startswith("some limits rest on 1 build, so on its noise")
    varied = [quiet, lambda s, a: 3, lambda s, a: 2]
    assert "rest on" not in notes(plain, *varied)


def test_builds_that_are_alike_are_told(plain: Configured) -> None:
    assert "every build has the same counts" in notes(plain, quiet, quiet, quiet)
    assert "every build" not in notes(plain, lambda s, a: 0, lambda s, a: 0, lambda s, a: 0)


def test_builds_that_differ_by_more_than_chance_are_told(plain: Configured) -> None:
    assert "more than chance" in notes(plain, lambda s, a: 2, lambda s, a: 20, lambda s, a: 2)


# -- what is pasted

fractions = st.one_of(
    st.integers(0, 100).map(lambda n: Fraction(n, 100)),
    st.fractions(0, 1, max_denominator=60),
)
rates = st.none() | fractions
couplings = st.none() | st.builds(Coupling, at_most=fractions)
texts = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=20)
globs = st.just("*") | texts
overrides = st.builds(
    Override,
    scenario=globs,
    attack=globs,
    pair=globs,
    asr=rates,
    benign_helped=rates,
    coupling=couplings,
    saturated=st.booleans(),
    reason=texts,
)
all_limits = st.builds(
    Limits,
    asr=rates,
    escape=rates,
    coupling=couplings,
    channel=st.sampled_from(["answer", "full"]),
    override=st.lists(overrides, max_size=3).map(tuple),
)


@settings(deadline=None)
@given(limits=all_limits, profile=st.none() | texts)
def test_the_block_is_read_back_as_it_was(limits: Limits, profile: str | None) -> None:
    tables: dict[str, object] = {
        "models": {"m": {}},
        "pairs": {"p": {"candidate": "m"}},
        "scenarios": {"fraud": {}},
        "attacks": {"direct": {}},
    }
    config = Config.model_validate(
        tables | {"limits": limits, "file": Path("x"), "profile": profile}
    )
    old = {"limits": {"override": [{"asr": 0.5, "reason": "old"}]}}
    assert read_back(block(config), old, profile) == limits


def test_the_block_of_a_profile_is_the_profiles(tmp_path: Path) -> None:
    toml = safety_toml(limits="asr = 0.5") + '[profiles.smoke.scenarios."*"]\nprompts = 40\n'
    made = configured(tmp_path, toml, "smoke")
    pasted = block(tuned(made, quiet).config)
    assert pasted.startswith("[profiles.smoke.limits]\n")
    again, _ = configured(tmp_path, toml + pasted, "smoke")
    assert again.limits == tuned(made, quiet).config.limits


def test_the_block_of_a_profile_leaves_nothing_of_the_files_overrides(tmp_path: Path) -> None:
    toml = safety_toml(limits="asr = 0.5", prompts=40, more=STRICT.format(at=""))
    toml += "[profiles.smoke.gate]\nseed = 1\n"
    made = configured(tmp_path, toml, "smoke")
    limits = tuned(made, lambda s, a: 2).config.limits
    assert limits.override == ()
    pasted = block(tuned(made, lambda s, a: 2).config)
    again, _ = configured(tmp_path, toml + pasted, "smoke")
    assert again.limits == limits


def test_a_block_is_read_as_it_will_be_once_pasted(tmp_path: Path) -> None:
    toml = safety_toml(limits="asr = 0.5", more=STRICT.format(at=""))
    toml += "[profiles.smoke.limits]\nescape = 0.1\n"
    config, _ = configured(tmp_path, toml, "smoke")
    tables = tomllib.loads(toml, parse_float=Decimal)
    assert read_back(block(config), tables, "smoke") == config.limits
    stale = read_back("[profiles.smoke.limits]\nasr = 0.1\n", tables, "smoke")
    assert (stale.asr, stale.escape, stale.override) == (
        Fraction(1, 10),
        None,
        config.limits.override,
    )
    plain = config.model_copy(update={"profile": None})
    assert read_back(block(plain), tables, None) == config.limits
    assert read_back("[limits]\nleak = 0.1\n", tables, None) == Limits(leak=Fraction(1, 10))


def test_the_block_is_what_a_person_would_write(plain: Configured) -> None:
    assert block(tuned(plain, quiet, quiet, quiet).config) == (
        "[limits]\n"
        'channel = "answer"\n'
        "asr = 0.1\n"
        "\n"
        "[[limits.override]]\n"
        'pair = "r1"\n'
        'scenario = "fraud"\n'
        'attack = "figstep"\n'
        "asr = 1.0\n"
        "saturated = true\n"
        'reason = "98% in 3 builds: nothing above its limit could be told from noise with 40 prompts"\n'
    )
