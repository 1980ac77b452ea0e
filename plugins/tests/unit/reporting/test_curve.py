"""A curve has the same scenarios at every length, and each report words its counts and intervals alike."""

from __future__ import annotations

from collections.abc import Mapping

from safemlrm.attacks import Direct, FigStep, Prefill
from safemlrm.metrics.rates import clopper_pearson
from safemlrm.reporting.allure.position import table
from safemlrm.reporting.curve import (
    Curve,
    Point,
    curve_briefs,
    curve_lines,
    curve_table,
    curves,
)
from safemlrm.reporting.markdown import code
from safemlrm.tune import Rate
from safemlrm.types import Attack

ATTACKS: Mapping[str, Attack] = {
    "direct": Direct(),
    "figstep": FigStep(),
    "one": Prefill("one", 1),
    "five": Prefill("five", 5),
}


def curve(*points: tuple[int, int, int], pair: str = "r1") -> Curve:
    """Return a curve by words, unsafe and scored responses."""
    found = tuple(Point(words, clopper_pearson(bad, of)) for words, bad, of in points)
    return Curve(pair, ("fraud", "sex"), found)


RISING = curve((0, 2, 40), (1, 10, 40), (5, 30, 38))


def test_only_what_was_asked_at_every_length_is_pooled() -> None:
    rates = [
        Rate("r1", "fraud", "direct", "asr", 1, 0, 20),
        Rate("r1", "fraud", "one", "asr", 5, 2, 20),
        Rate("r1", "fraud", "five", "asr", 9, 0, 20),
        Rate("r1", "sex", "direct", "asr", 2, 0, 20),
        Rate("r1", "sex", "five", "asr", 19, 0, 20),
        Rate("r1", "fraud", "figstep", "asr", 20, 0, 20),
        Rate("r1", "fraud", "one", "leak", 20, 0, 20),
        Rate("plain", "fraud", "direct", "asr", 1, 0, 20),
    ]
    [found] = curves(rates, ATTACKS)
    assert (found.pair, found.scenarios) == ("r1", ("fraud",))
    assert [(p.words, p.asr.successes, p.asr.n) for p in found.points] == [
        (0, 1, 20),
        (1, 5, 18),
        (5, 9, 20),
    ]
    assert found.uneven


def test_scenarios_that_share_no_length_have_no_curve() -> None:
    rates = [
        Rate("r1", "fraud", "direct", "asr", 1, 0, 20),
        Rate("r1", "sex", "five", "asr", 1, 0, 20),
    ]
    assert curves(rates, ATTACKS) == []


def test_every_length_has_a_line_with_its_counts_and_interval() -> None:
    assert curve_lines([RISING]) == [
        "r1: ASR by words of prefill, over fraud, sex",
        "  0 words: 5.0% (2/40) [0.6%, 16.9%]",
        "  1 word: 25.0% (10/40) [12.7%, 41.2%]",
        "  5 words: 78.9% (30/38) [62.7%, 90.4%]",
    ]


def test_a_brief_line_names_the_highest_length_and_not_the_longest() -> None:
    hump = curve((0, 2, 40), (1, 20, 40), (5, 0, 0), (8, 10, 40))
    assert curve_briefs([hump]) == [
        "r1: ASR after a prefill of 0 words 5.0% (2/40) [0.6%, 16.9%], "
        "of 1 word 50.0% (20/40) [33.8%, 66.2%], the highest of 3"
    ]


def test_a_table_of_markdown_keeps_a_name_in_its_cell() -> None:
    rows = curve_table([curve((0, 2, 40), (1, 0, 0), pair="a|b `c`")], code)
    assert rows[2:] == [
        "| `` a\\|b `c` `` | 0 words | 5.0% (2/40) [0.6%, 16.9%] |",
        "| `` a\\|b `c` `` | 1 word | none (0/0) |",
    ]
    assert curve_table([], code) == []


def test_the_attachment_has_a_line_a_length() -> None:
    assert table(curve((0, 2, 40), (5, 0, 0))).splitlines() == [
        "words of prefill,unsafe,ASR,95% interval",
        "0,2 of 40,5.0%,0.6% to 16.9%",
        "5,0 of 0,no rate,",
    ]
