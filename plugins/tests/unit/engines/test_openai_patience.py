"""How long a server is waited for, and what is taken out of its words."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from safemlrm.config import Model
from safemlrm.engines.patience import Kind, Patience, Setback, retry_after
from safemlrm.engines.secrets import LONGEST, RUN, Scrubber, key_of
from safemlrm.errors import EngineError

NOW = datetime(2026, 1, 1, 12, 0, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        (None, None),
        ("7", 7.0),
        ("0.5", 0.5),
        ("-3", 0.0),
        ("Thu, 01 Jan 2026 12:00:30 GMT", 30.0),
        ("Thu, 01 Jan 2026 11:00:00 GMT", 0.0),
        ("soon", None),
        ("nan", None),
        ("Thu, 01 Jan 2026 12:00:30 +99999999999999999999", None),
        ("", None),
    ],
)
def test_retry_after_is_seconds_or_a_date(value: str | None, seconds: float | None) -> None:
    assert retry_after(value, NOW) == seconds


@given(number=st.integers(1, 50), spread=st.floats(0, 1, exclude_max=True))
def test_waits_grow_and_stay_bounded(number: int, spread: float) -> None:
    patience = Patience()
    wait = patience.wait(Setback("gone", "r"), number, spread)
    assert 0.75 * patience.first <= wait <= 1.25 * patience.most
    assert wait <= patience.wait(Setback("gone", "r"), number + 1, spread)


def test_what_a_server_asks_for_is_obeyed_up_to_a_limit() -> None:
    patience = Patience(longest=60)
    assert patience.wait(Setback("busy", "status 429", 42.0), 1, 0.5) == 42.0
    assert patience.wait(Setback("busy", "status 429", 0.0), 3, 0.5) == 2.0  # never a tight loop
    with pytest.raises(
        EngineError, match="status 429, and the server asks to wait 61 s; run again"
    ):
        patience.wait(Setback("busy", "status 429", 61.0), 1, 0.5)


@pytest.mark.parametrize(("kind", "most"), [("busy", 20), ("late", 2), ("gone", 6), ("broken", 6)])
def test_how_often_depends_on_what_went_wrong(kind: Kind, most: int) -> None:
    assert Patience().limit(kind) == most


@given(st.text(min_size=4), st.text(), st.text())
def test_no_secret_survives(secret: str, before: str, after: str) -> None:
    cleaned = Scrubber([secret]).clean(f"{before}{secret}{after}")
    assert secret not in cleaned or secret in "***..."
    assert len(cleaned) <= LONGEST + 3
    assert cleaned.isprintable()


def test_a_secret_at_the_cut_is_taken_out_before_the_cut() -> None:
    text = "x" * (LONGEST - 5) + "my-secret-key"
    assert "my-se" not in Scrubber(["my-secret-key"]).clean(text)


def test_the_prompt_is_not_repeated() -> None:
    assert Scrubber([]).clean('bad: a "b"\nc', ['a "b"\nc']) == "bad: [prompt]"


def test_a_piece_of_the_prompt_is_not_repeated_either() -> None:
    prompt = "Tell me how to open the door of the\nhouse, bitte schön."
    clean = Scrubber([]).clean
    assert clean(f"too long: {prompt[:30]}...", [prompt]) == "too long: [prompt]..."
    received = clean(f"Received={{'content': {prompt!r}}}", [prompt])
    assert received == "Received={'content': '[prompt][prompt]'}"
    assert clean(f"{prompt} and {prompt[3:]}", [prompt]) == "[prompt] and [prompt]"
    assert clean("the door is open", [prompt]) == "the door is open"


@given(st.text("ab ", min_size=RUN, max_size=60), st.integers(0, 40), st.text("cd ", max_size=10))
def test_no_run_of_a_prompt_survives(prompt: str, start: int, around: str) -> None:
    cleaned = Scrubber([]).clean(f"{around}{prompt[start:]}{around}", [prompt])
    assert not [at for at in range(len(prompt) - RUN + 1) if prompt[at : at + RUN] in cleaned]


def test_an_absent_key_is_allowed_and_a_broken_one_is_not(monkeypatch: pytest.MonkeyPatch) -> None:
    model = Model(engine="openai", key_env="SOME_KEY")
    monkeypatch.delenv("SOME_KEY", raising=False)
    assert key_of(model) == ""
    monkeypatch.setenv("SOME_KEY", " sk-1 \n")
    assert key_of(model) == "sk-1"
    for bad in ("sk-ä", "sk\n1"):
        monkeypatch.setenv("SOME_KEY", bad)
        with pytest.raises(EngineError, match="SOME_KEY does not hold a key"):
            key_of(model)
