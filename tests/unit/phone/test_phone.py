"""Numbers as providers write them, and what a log may show of them."""

import subprocess
import sys

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


@pytest.mark.parametrize(
    ("raw", "country", "expected"),
    [
        # Poland: nine digits; its trunk zero is gone and still written
        ("22 000 01 01", "PL", "+48220000101"),
        ("(22) 000-01-01", "PL", "+48220000101"),
        ("022 000 01 01", "PL", "+48220000101"),
        ("+48 (0)22 000 01 01", "PL", "+48220000101"),
        ("501234567", "PL", "+48501234567"),
        ("00 48 501 234 567", "PL", "+48501234567"),
        ("0048501234567", "RU", "+48501234567"),
        # Russia: 8 and +7 are one number
        ("8 (495) 123-45-67", "RU", "+74951234567"),
        ("+7 (495) 123-45-67", "RU", "+74951234567"),
        ("74951234567", "RU", "+74951234567"),
        ("9161234567", "RU", "+79161234567"),
        ("8 800 555-35-35", "RU", "+78005553535"),
        ("810 48 22 000 01 01", "RU", "+48220000101"),
        ("79161234567", "PL", None),  # whose, without a plus, is not known
        # Kazakhstan shares +7 with Russia: it does not matter whose channel it is
        ("8 701 123 45 67", "KZ", "+77011234567"),
        ("87011234567", "RU", "+77011234567"),
        ("+77272500000", "RU", "+77272500000"),
        # a 7 and nine digits
        ("+7123456789", "KZ", "+7123456789"),
        ("+7123456789", None, "+7123456789"),
        ("+7 123 456 789", "PL", "+7123456789"),
        ("7123456789", "RU", "+77123456789"),
        ("7123456789", "PL", None),
        # Germany: a trunk zero, numbers of any length, and extensions that are none
        ("030 123456", "DE", "+4930123456"),
        ("+49 (0)30 123456", "PL", "+4930123456"),
        ("0049 30 123456", "DE", "+4930123456"),
        ("030/123456-0", "DE", "+49301234560"),
        ("0151 23456789", "DE", "+4915123456789"),
        ("1234", "DE", None),
        ("12345", "DE", None),
        ("112", "DE", None),
        # the United Kingdom
        ("020 7946 0958", "GB", "+442079460958"),
        ("+44 (0)20 7946 0958", "GB", "+442079460958"),
        ("07911 123456", "GB", "+447911123456"),
        ("999", "GB", None),
        # the United States
        ("(212) 555-0100", "US", "+12125550100"),
        ("1-212-555-0100", "US", "+12125550100"),
        ("+1 212.555.0100", "PL", "+12125550100"),
        ("011 48 22 000 01 01", "US", "+48220000101"),
        ("555-0100", "US", None),  # of which town?
        ("911", "US", None),
        # Ukraine
        ("044 123 45 67", "UA", "+380441234567"),
        ("380441234567", "UA", "+380441234567"),
        ("+380 (50) 123-45-67", "PL", "+380501234567"),
        # Italy, whose zero is part of the number
        ("06 1234567", "IT", "+39061234567"),
        # Saint Helena, whose numbers are short
        ("29000", "SH", "+29029000"),
    ],
)
def test_national_ways_of_writing(raw: str, country: str | None, expected: str | None) -> None:
    assert to_e164(raw, country) == expected


@pytest.mark.parametrize(
    ("raw", "expected"),
    [
        ("sip:+48220000101@pbx.example;user=phone", "+48220000101"),
        ("SIPS:220000101@[::1]:5061;transport=tls", "+48220000101"),
        ("sip:%2B48220000101@pbx.example", "+48220000101"),
        ('"Anna Nowak" <sip:220000101@pbx.example>', "+48220000101"),
        ("Anna <220000101>", "+48220000101"),
        ("tel:+48-22-000-01-01;ext=7", "+48220000101"),
        ("tel:20-7946-0958;phone-context=+44", "+442079460958"),
        ("220000101@pbx.example", "+48220000101"),
        ("sip:" + "220000101@" + "a" * 100 + ".example", "+48220000101"),
        ("sip:101@pbx.example", None),
        ("sip:anna@pbx.example", None),
        ("sip:@", None),
        ("<>", None),
        ("+48 22 000\u201301\u201301", "+48220000101"),
        ("\u202a+48\u00a0220000101\u202c", "+48220000101"),
        ("\uff12\uff12\uff10\uff10\uff10\uff10\uff11\uff10\uff11", "+48220000101"),
        ("+0048220000101", "+48220000101"),
    ],
)
def test_dresses_of_a_number(raw: str, expected: str | None) -> None:
    assert to_e164(raw, "PL") == expected


@pytest.mark.parametrize("country", ["PL", "DE", "US", "RU", None])
@pytest.mark.parametrize(
    "raw",
    [
        "0001*101",
        "*72220000101",
        "#31#220000101",
        "101",
        "112",
        "12",
        "0",
        "00",
        "000",
        "-5",
        "2.2e8",
        "anonymous",
        "Restricted",
        "unknown",
        "1-800-FLOWERS",
        "220000101 ext. 5",
        "9" * 60,
        "+" + "9" * 60,
        "0" * 60,
        "00" + "1" * 60,
        "+0",
        "++48220000101",
        "()",
        "-",
        "   ",
    ],
)
def test_what_is_no_public_number_has_none(raw: str, country: str | None) -> None:
    assert to_e164(raw, country) is None


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


def test_a_process_without_a_free_descriptor_reads_numbers_of_any_country() -> None:
    program = """
import resource
from shared.phone import to_e164
resource.setrlimit(resource.RLIMIT_NOFILE, (3, 3))
for raw, country in (("220000101", "PL"), ("+442079460000", None), ("+80012345678", None)):
    for _ in range(2):
        try:
            print(to_e164(raw, country), flush=True)
        except OSError as error:
            print(error, flush=True)
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=60)

    assert done.stdout.split() == [number for number in ("+48220000101", "+442079460000", "+80012345678") for _ in "12"]
