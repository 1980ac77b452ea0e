"""Accepted runs read back as they were, are void under another instrument, and never loosen unseen."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import date
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from safemlrm.baselines import (
    AcceptedLimit,
    Baseline,
    Instrument,
    Past,
    accept,
    anchor_path,
    baseline_path,
    digest_of,
    loosened,
    read_past,
    weaker,
    write_baselines,
)
from safemlrm.errors import ConfigError
from safemlrm.evidence import CellResult, paired
from safemlrm.family import Family, Hypothesis, Ledger
from safemlrm.limits import METRIC, Limit
from safemlrm.responses.store import Row, Scored
from safemlrm.types import Case, Cell, Direction, Score, Tier, TraceState

INSTRUMENT = Instrument("scorer", 1, 3, "answer", {"fraud": "s1"}, {"direct": "a1"}, {"fraud": 4})
SCORES = [0, 5, None, 4]
FRAUD = Case("r1", "fraud", "direct")


def result(planned: int = 4) -> CellResult:
    rows = [
        Row(n, f"p{n}", f"k{n}", "stop", 7, Scored(Score(None, s, s, s == 0), TraceState.ABSENT))
        for n, s in enumerate(SCORES)
    ]
    return CellResult(
        Cell("m", "fraud", "direct"), "refuse", tuple(rows), planned, 3, "answer", asked=planned
    )


def question(
    metric: str, value: str, subject: Case | Tier = FRAUD, direction: Direction = "at_most"
) -> Hypothesis:
    limit = Limit(Fraction(value), direction, "[limits]")
    return Hypothesis(subject, METRIC[metric], limit, 4, 0.01, None)


def family(*questions: Hypothesis) -> Family:
    return Family("r1", Ledger(Fraction(1, 20), {}, {}), questions)


ASR = family(question("asr", "1/10"))


def accepted(
    now: Family = ASR,
    former: Baseline | None = None,
    by: str = "ann",
    instrument: Instrument = INSTRUMENT,
) -> Baseline:
    return accept(
        now,
        [result()],
        instrument,
        {"weights": "w"},
        profile="nightly",
        by=by,
        reason="first" if former is None else "later",
        today=date(2026, 1, 2) if former is None else date(2026, 2, 3),
        former=former,
    )


def limits(now: Family) -> Sequence[AcceptedLimit]:
    return accepted(now).limits


# -- files


def put(folder: Path, last: Baseline | None = None) -> Baseline:
    """Write an anchor and a last run that was accepted against it."""
    linked = replace(last or accepted(), anchor=digest_of(accepted()))
    write_baselines({anchor_path(folder, "r1"): accepted(), baseline_path(folder, "r1"): linked})
    return linked


def test_outcomes_read_back_and_compare_like_a_model(tmp_path: Path) -> None:
    last = put(tmp_path)
    found = read_past(tmp_path, "r1", INSTRUMENT).last
    assert found == last
    assert found.occasion == "2026-01-02, ann: first"
    base = found.result(result())
    assert base is not None
    assert base.count(base.unsafe) == result().count(result().unsafe)
    pairs = paired(result(), base, "unsafe")
    assert (pairs.n10, pairs.n01, pairs.known) == (0, 0, 3)


def test_a_cell_that_was_not_accepted_has_no_result() -> None:
    other = replace(result(), cell=Cell("m", "fraud", "figstep"))
    assert accepted().result(other) is None


def test_before_the_first_run_there_is_none(tmp_path: Path) -> None:
    assert read_past(tmp_path, "r1", INSTRUMENT) == Past(None, None)


def test_a_review_sees_a_line_for_each_limit_and_prompt(tmp_path: Path) -> None:
    path = baseline_path(tmp_path, "r1")
    now = family(question("asr", "1/10"), question("leak", "1/20", Tier("r1")))
    write_baselines({path: accepted(now)})
    lines = path.read_text("utf-8").splitlines()
    assert sum('"metric": ' in line for line in lines) == 2
    assert sum('"position": ' in line for line in lines) == 4


CHANGES: list[tuple[Mapping[str, object], str]] = [
    ({"scorer": "other"}, "under another judge"),
    ({"seed": 2}, "under another seed"),
    ({"unsafe_at": 4}, "under another unsafe_at"),
    ({"scenarios": {"fraud": "s2"}}, "under another set of prompts for fraud"),
    ({"attacks": {"direct": "a2"}}, "under another version of direct"),
    (
        {"attacks": {"direct": "a1", "figstep": "a3"}},
        "over other cases: fraud / figstep is new",
    ),
    ({"planned": {"fraud": 5}}, "over fewer prompts: fraud has 5 now and had 4"),
]


@pytest.mark.parametrize(("change", "named"), CHANGES)
def test_another_instrument_voids_it_and_says_what_to_do(
    tmp_path: Path, change: dict[str, Any], named: str
) -> None:
    last = put(tmp_path)
    past = read_past(tmp_path, "r1", replace(INSTRUMENT, **change))
    assert (past.last, past.anchor, past.kept) == (None, None, last)
    assert past.void[0] == (
        f"{baseline_path(tmp_path, 'r1')}: accepted {named} (2026-01-02, ann: first), so later runs "
        "cannot be compared with it; either measure the model accepted then once more and accept it "
        "with `safemlrm accept r1 --loosen --by NAME --reason TEXT`, then this one; or accept this one "
        "so, which starts anew with it as the anchor"
    )


def test_a_new_scenario_voids_it(tmp_path: Path) -> None:
    """It once did not: the new cells were then silently compared with nothing."""
    put(tmp_path)
    wider = replace(
        INSTRUMENT, scenarios={"fraud": "s1", "sex": "s9"}, planned={"fraud": 4, "sex": 4}
    )
    [void, _] = read_past(tmp_path, "r1", wider).void
    assert "accepted over other cases: sex / direct is new" in void


def test_a_smaller_selection_and_another_channel_void_nothing(tmp_path: Path) -> None:
    put(tmp_path)
    changes: list[dict[str, Any]] = [
        {"planned": {"fraud": 3}},
        {"channel": "full"},
        {"scenarios": {}, "planned": {}},
    ]
    for change in changes:
        assert read_past(tmp_path, "r1", replace(INSTRUMENT, **change)).void == ()


def test_a_run_with_holes_is_not_accepted() -> None:
    with pytest.raises(ConfigError, match="1 of 5 prompts of fraud under direct were not measured"):
        accept(
            ASR,
            [result(5)],
            INSTRUMENT,
            {},
            profile=None,
            by="ann",
            reason="first",
            today=date(2026, 1, 2),
        )


@pytest.mark.parametrize("text", ["", "{}", '{"format": 1}', '{"format": 99}', "[1, 2]", "\x00"])
def test_what_is_no_baseline_is_refused(tmp_path: Path, text: str) -> None:
    put(tmp_path)
    baseline_path(tmp_path, "r1").write_text(text, "utf-8")
    [void] = read_past(tmp_path, "r1", INSTRUMENT).void
    assert "r1.json: not a baseline of r1 (" in void
    assert void.endswith("accept a run with `safemlrm accept --loosen`, which starts anew")
    assert "\n" not in void


def edited(path: Path, change: Callable[[dict[str, Any]], object], *, resealed: bool) -> None:
    """Change a file, and its checksum with it if it is to look untouched."""
    data = json.loads(path.read_text("utf-8"))
    change(data)
    if resealed:
        rest = {key: value for key, value in data.items() if key not in ("format", "digest")}
        data["digest"] = digest_of(rest)
    path.write_text(json.dumps(data), "utf-8")


@pytest.mark.parametrize(
    "change",
    [
        lambda data: data["limits"][0].update(value="9/10"),
        lambda data: data.update(limits=[]),
        lambda data: data["cells"]["fraud/direct"][0].update(answer=5),
        lambda data: data["cells"]["fraud/direct"].pop(),
    ],
)
def test_an_edit_by_hand_is_noticed(
    tmp_path: Path, change: Callable[[dict[str, Any]], object]
) -> None:
    put(tmp_path)
    edited(baseline_path(tmp_path, "r1"), change, resealed=False)
    assert "it was changed since it was accepted" in read_past(tmp_path, "r1", INSTRUMENT).void[0]


@pytest.mark.parametrize(
    "change",
    [
        lambda data: data["limits"][0].update(value="a tenth"),
        lambda data: data["limits"][0].update(value="1/0"),
        lambda data: data["limits"][0].update(value=None),
        lambda data: data["limits"][0].update(direction="about"),
        lambda data: data["instrument"].update(planned=[1]),
        lambda data: data["instrument"].update(planned={"fraud": "many"}),
        lambda data: data.update(pair="r2"),
    ],
)
def test_what_means_nothing_is_refused(
    tmp_path: Path, change: Callable[[dict[str, Any]], object]
) -> None:
    put(tmp_path)
    edited(baseline_path(tmp_path, "r1"), change, resealed=True)
    assert "not a baseline of r1" in read_past(tmp_path, "r1", INSTRUMENT).void[0]


def test_a_folder_in_its_place_is_refused(tmp_path: Path) -> None:
    baseline_path(tmp_path, "r1").mkdir(parents=True)
    assert "not a baseline" in read_past(tmp_path, "r1", INSTRUMENT).void[0]


def test_where_one_file_cannot_be_written_none_is(tmp_path: Path) -> None:
    first, path = anchor_path(tmp_path, "r1"), baseline_path(tmp_path, "r1")
    write_baselines({first: accepted()})
    before = first.read_bytes()
    path.with_suffix(".part").mkdir()  # in the way of the second file
    with pytest.raises(ConfigError, match=r"r1\.json: the baseline could not be written"):
        write_baselines({first: accepted(by="bob"), path: accepted()})
    assert first.read_bytes() == before
    assert not path.exists()
    assert not first.with_suffix(".part").exists()


# -- the past


def test_the_past_is_the_last_run_and_the_first(tmp_path: Path) -> None:
    last = put(tmp_path, accepted(former=accepted(), by="bob"))
    past = read_past(tmp_path, "r1", INSTRUMENT)
    assert past == Past(last, accepted(), (), last)
    assert past.latest == last


def test_files_that_do_not_count_are_told_of(tmp_path: Path) -> None:
    last = put(tmp_path)
    past = read_past(tmp_path, "r1", replace(INSTRUMENT, seed=2))
    assert (past.last, past.anchor, past.latest, past.kept) == (None, None, None, last)
    assert ["r1.json" in past.void[0], "r1.anchor.json" in past.void[1]] == [True, True]


@pytest.mark.parametrize("gone", [baseline_path, anchor_path])
def test_one_file_alone_does_not_count_as_none(
    tmp_path: Path, gone: Callable[[Path, str], Path]
) -> None:
    put(tmp_path)
    gone(tmp_path, "r1").unlink()
    past = read_past(tmp_path, "r1", INSTRUMENT)
    [void] = past.void
    assert void.startswith(f"{gone(tmp_path, 'r1')}: this accepted run is gone; restore the file")
    assert past.latest is not None


def test_another_runs_anchor_is_not_taken_for_this_ones(tmp_path: Path) -> None:
    put(tmp_path)
    write_baselines({anchor_path(tmp_path, "r1"): accepted(by="bob")})
    past = read_past(tmp_path, "r1", INSTRUMENT)
    assert past.anchor is None
    assert "not the anchor that r1.json was accepted against" in past.void[0]


# -- limits


def test_an_unchanged_limit_keeps_who_first_accepted_it() -> None:
    first = accepted(family(question("asr", "0.1"), question("leak", "0.05", Tier("r1"))))
    now = family(
        question("asr", "1/10"),
        question("leak", "0.04", Tier("r1")),
        question("escape", "0.2", Tier("r1")),
    )
    found = accepted(now, first, by="bob").limits
    assert [(limit.metric, limit.value, limit.by, limit.on, limit.reason) for limit in found] == [
        ("asr", "1/10", "ann", "2026-01-02", "first"),
        ("leak", "1/25", "bob", "2026-02-03", "later"),
        ("escape", "1/5", "bob", "2026-02-03", "later"),
    ]
    assert found[1].subject == ("all", "all", "leak")


def test_the_same_number_on_another_channel_is_another_limit() -> None:
    full = accepted(former=accepted(), by="bob", instrument=replace(INSTRUMENT, channel="full"))
    assert [limit.by for limit in full.limits] == ["bob"]


COUPLED = question("coupling", "1/2", Tier("r1"))


@pytest.mark.parametrize(
    ("then", "now", "text"),
    [
        (
            question("asr", "0.1"),
            [question("asr", "0.2")],
            "asr of fraud / direct: at most 20%, accepted was 10% (2026-01-02, ann: first)",
        ),
        (
            question("asr", "0.1"),
            [question("asr", "0.1000001")],
            "asr of fraud / direct: at most 10.00001%, accepted was 10% (2026-01-02, ann: first)",
        ),
        (
            question("self_correction", "0.3", Tier("r1"), "at_least"),
            [question("self_correction", "0.25", Tier("r1"), "at_least")],
            "self_correction of r1: at least 25%, accepted was 30% (2026-01-02, ann: first)",
        ),
        (
            COUPLED,
            [question("coupling", "1/2", Tier("r1"), "at_least")],
            "coupling of r1: at least 50%, accepted was at most 50% (2026-01-02, ann: first)",
        ),
        (
            question("rise", "0.02", Tier("r1", "fraud")),
            [],
            "rise of fraud: not limited any more, accepted was at most 2% (2026-01-02, ann: first)",
        ),
    ],
)
def test_a_looser_limit_is_named(then: Hypothesis, now: list[Hypothesis], text: str) -> None:
    assert loosened(limits(family(then)), family(*now)) == [text]


SUBJECTS = [
    FRAUD,
    Case("r1", "fraud", "figstep"),
    Case("r1", "sex", "direct"),
    Tier("r1"),
    Tier("r1", "fraud"),
]
RATES = st.fractions(0, 1, max_denominator=1000)
QUESTIONS = st.builds(
    lambda subject, metric, value, direction: question(metric, str(value), subject, direction),
    st.sampled_from(SUBJECTS),
    st.sampled_from(sorted(METRIC)),
    RATES,
    st.sampled_from(["at_most", "at_least"]),
)
FAMILIES = st.lists(QUESTIONS, unique_by=lambda h: (h.subject, h.metric.name), max_size=8).map(
    lambda questions: family(*questions)
)


@given(FAMILIES)
def test_a_family_never_loosens_itself(some: Family) -> None:
    assert loosened(limits(some), some) == []


@given(FAMILIES, FAMILIES)
def test_new_limits_and_tighter_ones_never_loosen(some: Family, more: Family) -> None:
    known = {(h.subject, h.metric.name) for h in some.hypotheses}
    added = [h for h in more.hypotheses if (h.subject, h.metric.name) not in known]
    tight = [
        replace(h, limit=replace(h.limit, value=Fraction(h.limit.direction == "at_least")))
        for h in some.hypotheses
    ]
    assert loosened(limits(some), family(*tight, *added)) == []


@given(FAMILIES, st.data())
def test_any_step_to_the_loose_side_is_reported(some: Family, data: st.DataObject) -> None:
    steps = data.draw(st.lists(RATES, min_size=len(some.hypotheses), max_size=len(some.hypotheses)))
    moved, expected = [], []
    for h, step in zip(some.hypotheses, steps, strict=True):
        sign = 1 if h.limit.direction == "at_most" else -1
        moved.append(replace(h, limit=replace(h.limit, value=h.limit.value + sign * step)))
        if step:
            expected.append(h.metric.name)
    found = loosened(limits(some), family(*moved))
    assert [text.split(" of ")[0] for text in found] == expected


@given(FAMILIES, st.data())
def test_every_limit_that_is_gone_is_reported(some: Family, data: st.DataObject) -> None:
    kept = [h for h in some.hypotheses if data.draw(st.booleans())]
    found = loosened(limits(some), family(*kept))
    assert len(found) == len(some.hypotheses) - len(kept)
    assert all("not limited any more" in text for text in found)


def test_fewer_prompts_and_another_channel_gate_less() -> None:
    now = replace(INSTRUMENT, channel="reasoning", planned={"fraud": 3})
    assert weaker(accepted(), now, ASR) == [
        "the gated channel: reasoning, accepted was answer",
        "prompts of fraud: 3, accepted were 4",
    ]
    assert weaker(accepted(), INSTRUMENT, ASR) == []
    looser = family(question("asr", "0.11"))
    assert len(weaker(accepted(), replace(INSTRUMENT, planned={"fraud": 9}), looser)) == 1
