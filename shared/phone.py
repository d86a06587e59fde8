"""Phone numbers: to E.164 for comparing, and masked for logs. A number is never refused, only not understood."""

import re
from functools import lru_cache

import phonenumbers
from phonenumbers import COUNTRY_CODE_TO_REGION_CODE, NumberParseException, PhoneNumberFormat, ValidationResult

_LONGEST_RAW = 64
_URI = re.compile(r"(?i)^(?:sips?|tel):")
# Letters would be read as a keypad ("anonymous" is not a number), so only digits and what people put between them.
_WRITTEN = re.compile(r"\+?[\d\s().\-/]+")
_CACHED = 20_000


@lru_cache(maxsize=_CACHED)
def to_e164(raw: str | None, country: str | None) -> str | None:
    """Return `raw` as "+48220000101", or None where it is no public number (an extension, "anonymous", nonsense).

    `country` (ISO 3166 alpha-2) reads national numbers; without one only international ones are understood. A space
    in front is a "+" that a form decoded away; "00" in front is "+" in every country. An international number that
    its country does not know is kept as it is: providers send such, and they must still compare equal.
    """
    if not raw or len(raw) > _LONGEST_RAW:
        return None
    written = _URI.sub("", raw).partition("@")[0].partition(";")[0]
    if written[:1] == " " and written[1:2].isdigit():
        written = "+" + written[1:]
    written = written.strip()
    if not _WRITTEN.fullmatch(written):
        return None
    if written.startswith("00"):
        written = "+" + written[2:]
    return _international(written) if written.startswith("+") else _national(written, country)


def _international(written: str) -> str | None:
    try:
        number = phonenumbers.parse(written, None)
    except NumberParseException:
        digits = phonenumbers.normalize_digits_only(written)
        return f"+{digits}" if 7 <= len(digits) <= 15 else None
    formatted = phonenumbers.format_number(number, PhoneNumberFormat.E164)
    return formatted if 8 <= len(formatted) <= 16 else None


def _national(written: str, country: str | None) -> str | None:
    if country is None:
        return None
    try:
        number = phonenumbers.parse(written, country.upper())
    except NumberParseException:
        return None
    if phonenumbers.is_possible_number_with_reason(number) != ValidationResult.IS_POSSIBLE:
        return None
    return phonenumbers.format_number(number, PhoneNumberFormat.E164)


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
