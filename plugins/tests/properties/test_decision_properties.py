"""A decision moves in one direction with the evidence, whatever its kind."""

from __future__ import annotations

from fractions import Fraction

from hypothesis import given, settings
from hypothesis import strategies as st

from fixtures.hypotheses import hypothesis
from safemlrm.decision import decide_count, decide_mean, decide_paired, decide_share
from safemlrm.evidence import Channels, Counts, Pairs, Shares
from safemlrm.family import Hypothesis
from safemlrm.metrics.coupling import Joint
from safemlrm.types import Verdict

RANK = {Verdict.PASS: 0, Verdict.INCONCLUSIVE: 1, Verdict.FAIL: 2}
LEVELS = st.sampled_from([0.02, 0.001, 0.00005])
LIMITS = st.integers(0, 100).map(lambda percent: Fraction(percent, 100))


@st.composite
def counted(draw: st.DrawFn) -> tuple[Hypothesis, Counts]:
    n = draw(st.integers(1, 120))
    bad = draw(st.integers(0, n))
    unknown = draw(st.integers(0, n - bad))
    return hypothesis("asr", draw(LIMITS), n, draw(LEVELS)), Counts(bad, unknown, n)


@given(counted())
def test_more_unsafe_never_moves_towards_pass(drawn: tuple[Hypothesis, Counts]) -> None:
    asr, counts = drawn
    before = decide_count(asr, counts).verdict
    if before is Verdict.UNGATEABLE or counts.bad == counts.known:
        return
    worse = Counts(counts.bad + 1, counts.unknown, counts.n)
    assert RANK[decide_count(asr, worse).verdict] >= RANK[before]


@given(counted())
def test_pass_and_fail_hold_however_the_unknown_turns_out(drawn: tuple[Hypothesis, Counts]) -> None:
    asr, counts = drawn
    verdict = decide_count(asr, counts).verdict
    if verdict not in (Verdict.PASS, Verdict.FAIL):
        return
    for bad in (counts.bad, counts.bad + counts.unknown):
        assert decide_count(asr, Counts(bad, 0, counts.n)).verdict is verdict


@given(counted())
def test_an_ungateable_cell_never_passes_or_fails(drawn: tuple[Hypothesis, Counts]) -> None:
    asr, counts = drawn
    assert asr.zones is not None
    decision = decide_count(asr, counts)
    if asr.zones.fails_from > counts.n:
        hidden = counts.unknown > 0 and counts.bad + counts.unknown > asr.zones.passes_to
        assert decision.verdict is (Verdict.INCONCLUSIVE if hidden else Verdict.UNGATEABLE)
    else:
        assert decision.verdict is not Verdict.UNGATEABLE


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_a_tax_never_gets_better_by_another_unsafe_answer(data: st.DataObject) -> None:
    n = data.draw(st.integers(10, 60))
    n10 = data.draw(st.integers(0, n - 1))
    n01 = data.draw(st.integers(0, n - 1 - n10))
    tax = hypothesis(
        "reasoning_tax", data.draw(LIMITS.filter(lambda v: v < 1)), n, data.draw(LEVELS)
    )
    before = decide_paired(tax, Pairs(n10, n01, n, (n10, n01), (n10, n01), n)).verdict
    after = decide_paired(tax, Pairs(n10 + 1, n01, n, (n10 + 1, n01), (n10 + 1, n01), n)).verdict
    if before is not Verdict.UNGATEABLE:
        assert RANK[after] >= RANK[before]


@given(st.tuples(*[st.integers(0, 80)] * 4), st.integers(0, 40), LIMITS, LEVELS)
def test_a_share_holds_however_the_unknown_turns_out(
    table: tuple[int, int, int, int], unknown: int, limit: Fraction, level: float
) -> None:
    correction = hypothesis("self_correction", limit, sum(table) + unknown, level)
    verdict = decide_share(correction, [Channels(Joint(*table), unknown)]).verdict
    if verdict not in (Verdict.PASS, Verdict.FAIL):
        return
    n11, n10, n01, n00 = table
    for joint in (Joint(n11 + unknown, n10, n01, n00), Joint(n11, n10 + unknown, n01, n00)):
        assert decide_share(correction, [Channels(joint, 0)]).verdict is verdict


@st.composite
def shared(draw: st.DrawFn) -> tuple[Hypothesis, Shares]:
    n, each = draw(st.integers(1, 80)), draw(st.integers(1, 6))
    unsafe = draw(st.integers(0, n * each))
    unknown = draw(st.integers(0, n * each - unsafe))
    safe = hypothesis("safe_at_1", draw(LIMITS), n, draw(LEVELS))
    low, high = Fraction(unsafe, each), Fraction(unsafe + unknown, each)
    return safe, Shares(low, high, unsafe, n * each - unknown, unknown, n)


@given(shared())
def test_a_mean_holds_however_the_unknown_turns_out(drawn: tuple[Hypothesis, Shares]) -> None:
    safe, shares = drawn
    verdict = decide_mean(safe, shares).verdict
    if verdict not in (Verdict.PASS, Verdict.FAIL):
        return
    everything = shares.responses + shares.unknown
    for total, unsafe in (
        (shares.low, shares.unsafe),
        (shares.high, shares.unsafe + shares.unknown),
    ):
        whole = Shares(total, total, unsafe, everything, 0, shares.n)
        assert decide_mean(safe, whole).verdict is verdict


@given(shared())
def test_one_response_a_prompt_fails_no_sooner_as_a_mean_than_as_a_count(
    drawn: tuple[Hypothesis, Shares],
) -> None:
    safe, _ = drawn
    count = hypothesis("benign_helped", safe.limit.value, safe.n, safe.level)
    assert safe.zones is not None
    assert count.zones is not None
    assert safe.zones.passes_to == count.zones.passes_to
    assert safe.zones.fails_from >= count.zones.fails_from


@settings(max_examples=60)
@given(
    st.lists(st.lists(st.integers(0, 4), min_size=2, max_size=2), min_size=5, max_size=40),
    st.sampled_from([0.02, 0.004]),
)
def test_a_mean_at_its_limit_fails_no_more_often_than_its_level(
    values: list[list[int]], level: float
) -> None:
    """Each prompt's share is one of two with equal chance; the limit is exactly their mean."""
    mean = Fraction(sum(map(sum, values)), 2 * 4 * len(values))
    safe = hypothesis("safe_at_1", 1 - mean, len(values), level)
    assert safe.zones is not None
    chances = {0: 1.0}
    for pair in values:
        nxt: dict[int, float] = {}
        for total, chance in chances.items():
            for value in pair:
                nxt[total + value] = nxt.get(total + value, 0.0) + chance / 2
        chances = nxt
    wrong = sum(chance for total, chance in chances.items() if total >= 4 * safe.zones.fails_from)
    assert wrong <= level + 1e-12
