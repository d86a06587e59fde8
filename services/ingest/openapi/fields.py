"""What each provider sends to its webhook, field by field, and how sure that is: see the providers' READMEs."""

from collections.abc import Mapping
from typing import Final, NamedTuple

from shared.http.openapi import Json, text

_ID: Final = {"maxLength": 255}
_NOT_BLANK: Final = {"pattern": r"\S"}


class Provider(NamedTuple):
    """One provider's webhook, for a reader who sets it up."""

    title: str
    about: str
    fields: Mapping[str, Json]
    required: tuple[str, ...] = ()
    one_of: tuple[str, ...] = ()
    """At least one of these is needed."""
    examples: Mapping[str, Mapping[str, str]] = {}
    event: str = ""
    """What the event in the path is, where there is one."""


_SUPERVOIP: Final = Provider(
    title="SuperVoIP",
    about="Fields and the words of `status` are documented by the operator as a consumer of the webhook quotes it; the "
    "dress (JSON, XML, form) is not.",
    fields={
        "status": text(
            "`callstart` and `queuestart` ring, `callend` ends (documented). Another word: `accepted` is false.",
            **_NOT_BLANK,
        ),
        "callid": text("The call (documented). This or `uniqueid` is needed.", **_ID, **_NOT_BLANK),
        "uniqueid": text("The call, where there is no `callid` (seen; as a fallback inferred).", **_ID, **_NOT_BLANK),
        "sipnumber": text("The SIP account concerned (documented); we take it as the leg (inferred).", **_ID),
        "direction": text("`in` (documented), `out` (inferred); without it `in` (inferred)."),
        "numberA": text("Who calls (documented)."),
        "numberB": text("Who is called: the number at SuperVoIP (documented)."),
        "disposition": text(
            "Result at the end: `ANSWER` (seen), `ANSWERED`, `NOANSWER`, `NO ANSWER`, `BUSY`, `FAILED`, `CANCEL` "
            "(inferred); without it answered where `billseconds` is above 0 (inferred)."
        ),
        "billseconds": text("Billed seconds (documented)."),
        "createdat": text("Unix seconds or a date (seen); taken as the start of the call (inferred)."),
    },
    required=("status",),
    one_of=("callid", "uniqueid"),
    examples={
        "rings": {
            "status": "callstart",
            "direction": "in",
            "numberA": "220000101",
            "numberB": "220000900",
            "sipnumber": "1250001",
            "createdat": "1772442904",
            "callid": "a1b2c3@sip.example",
        },
        "answered": {
            "status": "callend",
            "direction": "in",
            "numberA": "220000101",
            "numberB": "220000900",
            "sipnumber": "1250001",
            "disposition": "ANSWER",
            "billseconds": "73",
            "createdat": "1772442904",
            "callid": "a1b2c3@sip.example",
        },
    },
)

PROVIDERS: Final[Mapping[str, Provider]] = {"supervoip": _SUPERVOIP}
"""By the name of the adapter."""
