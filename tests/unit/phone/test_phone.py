"""Numbers as providers write them, and what a log may show of them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.phone import mask, to_e164


@pytest.mark.parametrize(
    ("raw", "country", "expected"),
    [
        ("220000101", "PL", "+48220000101"),
        ("48220000101", "PL", "+48220000101"),
        ("+48 22 000-01-01", "DE", "+48220000101"),
        (" 48220000101", None, "+48220000101"),  # a form decodes "+" to a space
        ("0048220000101", "US", "+48220000101"),
        ("sip:220000101@pbx.example:5060", "PL", "+48220000101"),
        ("tel:+48220000101", None, "+48220000101"),
        ("+7123456789", "RU", "+7123456789"),  # not a valid number, and still the same caller tomorrow
        ("220000101", None, None),
        ("220000101", "ZZ", None),
        ("101", "PL", None),  # an extension
        ("0001*101", "PL", None),
        ("anonymous", "PL", None),
        ("+", "PL", None),
        ("+" + "9" * 30, "PL", None),
        ("", "PL", None),
        (None, "PL", None),
        ("2" * 1000, "PL", None),
        ("\x00", "PL", None),
        ("\ud800", "PL", None),
    ],
)
def test_number_is_read_with_the_channels_country_or_not_understood(
    raw: str | None, country: str | None, expected: str | None
) -> None:
    assert to_e164(raw, country) == expected


@given(st.text(alphabet=st.characters(codec=None), max_size=80), st.sampled_from(["PL", "US", "zz", None]))
def test_no_text_is_ever_an_error(raw: str, country: str | None) -> None:
    e164 = to_e164(raw, country)
    assert e164 is None or (e164.startswith("+") and 8 <= len(e164) <= 16)


@pytest.mark.parametrize(
    ("number", "expected"),
    [
        ("+48220000101", "+48*******01"),
        ("+15550100123", "+1********23"),
        ("0048220000101", "0048*******01"),
        ("220000101", "*******01"),
        ("+48 22 000 01 01", "+48*******01"),
        ("101", "***"),
        ("anonymous", "***"),
        ("", "***"),
        ("+" + "0" * 6, "+****00"),
    ],
)
def test_mask_keeps_the_country_code_and_the_last_two_digits(number: str, expected: str) -> None:
    assert mask(number) == expected


@given(st.text(alphabet=st.characters(codec=None), max_size=80))
def test_mask_is_never_an_error(number: str) -> None:
    assert "*" in mask(number)
