"""What stands in a table of safety.toml: exact rates, names that are not blank, strict tables."""

from __future__ import annotations

from decimal import Decimal
from fractions import Fraction
from typing import Annotated

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field

SLUG = r"^[a-z][a-z0-9_]*$"
Slug = Annotated[str, Field(pattern=SLUG)]
PLACES = 300
"""Powers of ten that a rate may have, either way."""
LARGEST_RISE = Fraction(5, 100)
LARGEST = 2**63 - 1
"""The largest whole number that a store can hold."""
Count = Annotated[int, Field(ge=1, le=LARGEST)]


def _exact(value: object) -> Fraction:
    """Read a rate as the fraction its decimal text shows, so that 0.29 of 100 prompts is 29."""
    if isinstance(value, bool) or not isinstance(value, int | str | float | Decimal | Fraction):
        raise ValueError("expected a number between 0 and 1")
    try:
        if isinstance(value, int | Fraction) or (isinstance(value, str) and "/" in value):
            return Fraction(value)
        number = Decimal(str(value))
    except (ValueError, ArithmeticError):
        raise ValueError("expected a number between 0 and 1") from None
    # A fraction spells its power of ten out, so 1e999999 would take all memory.
    if not number.is_finite() or abs(number.adjusted()) > PLACES:
        raise ValueError(f"expected a rate between 0 and 1, got {str(number).lower()}")
    return Fraction(number)


def _is_rate(value: Fraction) -> Fraction:
    if not 0 <= value <= 1:
        shown = Decimal(value.numerator) / value.denominator
        raise ValueError(f"expected a rate between 0 and 1, got {shown:.6g}")
    return value


def _is_small(value: Fraction) -> Fraction:
    """Refuse what is no small rise: its test asks whether anything changed, not whether by so much."""
    if value > LARGEST_RISE:
        raise ValueError(
            f"expected at most {float(LARGEST_RISE):g}, since it only keeps small rises from failing; "
            'for a larger one limit asr, or reasoning_tax with base = "baseline"'
        )
    return value


def _is_marker(value: str) -> str:
    if not value.strip():
        raise ValueError("a marker cannot be blank; give the text a model writes, or leave it out")
    return value


def read_kinds(value: object) -> object:
    """Read one attack or several that are applied in order."""
    names = [value] if isinstance(value, str) else value
    if not isinstance(names, list | tuple) or not names:
        raise ValueError("expected the name of an attack, or a list of names")
    if not all(isinstance(name, str) for name in names):
        raise ValueError("expected the name of an attack, or a list of names")
    return tuple(names)


def _filled(value: str) -> str:
    if not value.strip():
        raise ValueError("expected a text that is not blank, or leave the key out")
    return value


def _plain(value: object) -> str:
    """Read what a row is compared with as the text that a table would show."""
    if not isinstance(value, str | int):
        raise ValueError("expected a text, a whole number, true or false")
    return str(value).lower() if isinstance(value, bool) else str(value)


Rate = Annotated[Fraction, BeforeValidator(_exact), AfterValidator(_is_rate)]
Small = Annotated[Rate, AfterValidator(_is_small)]
Marker = Annotated[str, AfterValidator(_is_marker)]
Named = Annotated[str, AfterValidator(_filled)]
Plain = Annotated[str, BeforeValidator(_plain)]


class Table(BaseModel):
    """A TOML table: immutable, and unknown keys are errors."""

    model_config = ConfigDict(
        extra="forbid", frozen=True, arbitrary_types_allowed=True, allow_inf_nan=False
    )
