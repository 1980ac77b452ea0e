"""An address is told from others and sent whole, and shows no credential."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from safemlrm.config import Model
from safemlrm.config.address import Address
from safemlrm.reading import settings_key

WORD = st.text("abcdefghijklmnopqrstuvwxyzABC0123456789_-", min_size=6, max_size=20)


@given(user=WORD, password=WORD, key=WORD)
def test_no_form_of_an_address_shows_who_asks(user: str, password: str, key: str) -> None:
    user, password, key = f"u{user}9", f"p{password}9", f"k{key}9"
    address = Address(f"https://{user}:{password}@host:8443/v1/?api-key={key}&v=1")
    model = Model.model_validate({"engine": "openai", "url": address.written, "model": "m"})
    forms = (repr(address), str(address), f"{address}", address.name, address.shown)
    for form in (*forms, repr(model), str(model), settings_key(model), model.model_dump_json()):
        assert not [secret for secret in (user, password, key) if secret in form]
    assert address.to("models") == f"https://host:8443/v1/models?api-key={key}&v=1"
    assert {user, password, key} <= address.secrets


def test_what_routes_a_request_tells_addresses_apart_and_who_asks_does_not() -> None:
    names = {
        written: Address(written).name
        for written in (
            "http://h/v1",
            "http://h/v1?deployment=a",
            "http://h/v1?deployment=b",
            "http://h/v1?deployment=a&api-key=one",
            "http://me:pw@h/v1?subscription_key=two&deployment=a",
            "http://h/v1/",
            "http://h/v2",
        )
    }
    assert names["http://h/v1"] == names["http://h/v1/"] == "http://h/v1"
    blue = names["http://h/v1?deployment=a"]
    assert blue == names["http://h/v1?deployment=a&api-key=one"]
    assert blue == names["http://me:pw@h/v1?subscription_key=two&deployment=a"]
    assert len({*names.values()}) == 4


def test_a_user_is_sent_as_basic_credentials() -> None:
    assert Address("http://me:p%40ss@h/v1").basic == "Basic bWU6cEBzcw=="
    assert Address("http://h/v1").basic == ""
    assert "p@ss" in Address("http://me:p%40ss@h/v1").secrets


@pytest.mark.parametrize(
    "written",
    [
        "",
        "h/v1",
        "ftp://h/v1",
        "http://",
        "http://h:port/v1",
        "http://h/v1 ",
        "http://[h/v1",
        "http://h/v1/chat/completions",
        "http://h/v1#part",
    ],
)
def test_what_is_no_address_is_said_without_repeating_it(written: str) -> None:
    address = Address(written)
    assert address.mistake.startswith("expected ")
    assert address.shown == address.name == "an address that cannot be read"
    assert not written or written in "http://" or written not in address.mistake
