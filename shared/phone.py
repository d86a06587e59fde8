"""Phone numbers: to E.164 for comparing, and masked for logs. A number is never refused, only not understood."""

import re
from functools import lru_cache

import phonenumbers
from phonenumbers import (
    COUNTRY_CODE_TO_REGION_CODE,
    NumberParseException,
    PhoneMetadata,
    PhoneNumber,
    PhoneNumberFormat,
    ValidationResult,
)

# A tenth of a second. By itself the library reads a country's numbering plan from its file when it first meets a number
# of that country, under a lock that it never gives back where that fails: without a free descriptor, say. Then whoever
# wants that country's waits for ever, and all of the process with him.
PhoneMetadata.load_all()

_LONGEST_RAW = 200  # a SIP URI with its host
_SHORTEST_NATIONAL = 7
# Left and right marks, soft hyphens and the like, which come along when a number is copied from a screen.
_INVISIBLE = re.compile("[\u00ad\u200b-\u200f\u202a-\u202e\u2060-\u2069\ufeff]")
_BRACKETED = re.compile(r"<([^<>]+)>")
_URI = re.compile(r"(?i)^(?:sips?|tel):")
_CONTEXT = re.compile(r"(?i);phone-context=(\+\d{1,4})(?:;|$)")
# Letters would be read as a keypad ("anonymous" is not a number), so only digits and what people put between them.
_WRITTEN = re.compile("\\+?[\\d\\s().\\-/\u2010-\u2015\u2212]+")
_CACHED = 20_000


@lru_cache(maxsize=_CACHED)
def to_e164(raw: str | None, country: str | None) -> str | None:
    """Return `raw` as "+48220000101", or None where it is no public number (an extension, "anonymous", nonsense).

    `country` (ISO 3166 alpha-2) reads national numbers; without one only international ones are understood. A space
    in front is a "+" that a form decoded away; "00" in front is "+" in every country. An international number that
    its country does not know is kept as it is: providers send such, and they must still compare equal. A national one
    is read only where it is as long as numbers of that country are.
    """
    if not raw or len(raw) > _LONGEST_RAW:
        return None
    written = _bare(raw)
    if not _WRITTEN.fullmatch(written):
        return None
    if written.startswith("+00"):
        written = written[1:]
    if written.startswith("00"):
        written = "+" + written[2:]
    return _international(written) if written.startswith("+") else _national(written, country)


def _bare(raw: str) -> str:
    """Return the number alone, out of `"Anna" <sip:220000101@pbx.example;user=phone>` and the like."""
    raw = _INVISIBLE.sub("", raw)
    bracketed = _BRACKETED.search(raw)
    uri = bracketed[1] if bracketed else raw
    context = _CONTEXT.search(uri)
    written = _URI.sub("", uri).partition("@")[0].partition(";")[0].replace("%2B", "+").replace("%2b", "+")
    if written[:1] == " " and written[1:2].isdigit():
        written = "+" + written[1:]
    written = written.strip()
    return context[1] + written if context and not written.startswith("+") else written


def _international(written: str) -> str | None:
    try:
        number = _without_trunk_zero(phonenumbers.parse(written, None))
    except NumberParseException:
        digits = phonenumbers.normalize_digits_only(written)
        return f"+{digits}" if 7 <= len(digits) <= 15 else None
    formatted = phonenumbers.format_number(number, PhoneNumberFormat.E164)
    return formatted if 8 <= len(formatted) <= 16 else None


def _national(written: str, country: str | None) -> str | None:
    if country is None:
        return None
    try:
        number = _without_trunk_zero(phonenumbers.parse(written, country.upper()))
    except NumberParseException:
        return None
    return phonenumbers.format_number(number, PhoneNumberFormat.E164) if _is_plausible(number) else None


def _without_trunk_zero(number: PhoneNumber) -> PhoneNumber:
    """Drop a zero in front where the country has none: Poland's trunk zero is gone, and still dialled and printed."""
    if not number.italian_leading_zero or phonenumbers.is_valid_number(number):
        return number
    without = PhoneNumber(country_code=number.country_code, national_number=number.national_number)
    return without if phonenumbers.is_valid_number(without) else number


def _is_plausible(number: PhoneNumber) -> bool:
    """Whether it is a number of its country, or in a range too new for us but as long as such numbers are."""
    if phonenumbers.is_valid_number(number):
        return True
    if phonenumbers.is_possible_number_with_reason(number) != ValidationResult.IS_POSSIBLE:
        return False
    length = len(phonenumbers.national_significant_number(number))
    return length >= _SHORTEST_NATIONAL and length in _usual_lengths(number.country_code or 0)


@lru_cache
def _usual_lengths(country_code: int) -> frozenset[int]:
    """How many digits fixed and mobile numbers of a country have."""
    region = phonenumbers.region_code_for_country_code(country_code)
    metadata = PhoneMetadata.metadata_for_region(region)
    kinds = (metadata.fixed_line, metadata.mobile) if metadata else ()
    return frozenset(length for kind in kinds if kind for length in kind.possible_length)


def mask(number: str) -> str:
    """Return `number` with its country code and last two digits readable: "+48*******01", "*******01", "***"."""
    digits = [character for character in number if character.isdecimal()]
    if len(digits) < 5:
        return "***"
    code = _country_code(number, "".join(digits[:5]))
    hidden = "*" * (len(digits) - len(code.lstrip("+0")) - 2 - (2 if code.startswith("00") else 0))
    return f"{code}{hidden}{digits[-2]}{digits[-1]}"


def _country_code(number: str, digits: str) -> str:
    if number.lstrip().startswith("+"):
        prefix = "+"
    elif digits.startswith("00"):
        prefix, digits = "00", digits[2:]
    else:
        return ""
    for length in (1, 2, 3):
        if digits[:length].isascii() and int(digits[:length]) in COUNTRY_CODE_TO_REGION_CODE:
            return prefix + digits[:length]
    return prefix
