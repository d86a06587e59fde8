"""What each provider sends to its webhook, field by field, and how sure that is: see the providers' READMEs."""

from collections.abc import Mapping
from typing import Any, Final, NamedTuple

from services.ingest.openapi.common import NOT_BLANK
from shared.http.openapi import Json, text, whole

_ID: Final[Mapping[str, Any]] = {"maxLength": 255}
_NOT_BLANK: Final[Mapping[str, Any]] = {"pattern": NOT_BLANK}


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

_TELECUBE: Final = Provider(
    title="Telecube",
    about="Documented are the four events and the four statuses, no more: **every name of a field is inferred**; of "
    "those for one value the first that is there counts.",
    fields={
        "event": text(
            "`queue_start` and `call_start` ring, `call_end` and `queue_hangup` end (documented). Another word: "
            "`accepted` is false. Also `type`, `action`.",
            **_NOT_BLANK,
        ),
        "uniqueid": text("The call. Also `call_id`, `callid`, `uuid`.", **_ID, **_NOT_BLANK),
        "caller": text("Who calls. Also `src`, `from`, `numberA`."),
        "called": text("Who is called. Also `dst`, `to`, `numberB`, `did`."),
        "did": text("The company's number that the call came in on."),
        "queue": text("Also `queue_name`.", **_ID),
        "extension": text("Which phone, in `call_start` and `call_end`. Also `sip`, `agent`.", **_ID),
        "status": text(
            "Of an end: `ANSWERED`, `BUSY`, `FAILED`, `NO ANSWER` (documented). Also `disposition`.",
        ),
        "billsec": text("Talked seconds, of a `call_end`."),
        "duration": text("Seconds from start to end, of a `call_end`."),
        "calldate": text("Start of the call. Also `date`."),
        "timestamp": text("When a start was sent."),
        "direction": text("`in`, `out` or `internal`; without it by queue and numbers. Also `calldirection`."),
    },
    required=("event", "uniqueid"),
    examples={
        "rings": {
            "event": "call_start",
            "uniqueid": "1772442904.118",
            "caller": "220000101",
            "called": "220000900",
            "extension": "10",
        },
        "missed": {
            "event": "call_end",
            "uniqueid": "1772442904.118",
            "caller": "220000101",
            "called": "220000900",
            "extension": "10",
            "status": "NO ANSWER",
            "duration": "0",
        },
    },
)

_VOIPNOW: Final = Provider(
    title="4PSA VoipNow",
    about="Set each call event of an extension to a URL of its own: VoipNow's request tells not which event it is. The "
    "ten parameters are documented, and that none is promised; fields of a derivative (`EventTime`, `Duration`, "
    "`Diversion`, ...) are understood too.",
    fields={
        "CallID": text("The call (documented).", **_ID, **_NOT_BLANK),
        "CallerIDNum": text("Who calls (documented)."),
        "CallerIDName": text("The caller's name (documented)."),
        "CalledDID": text("Public number of the called extension (documented)."),
        "CalledExtension": text("Extension that was called, `NNNN*NNN` (documented); the leg where it was (inferred)."),
        "CallerExtension": text("Extension that calls, `NNNN*NNN` (documented); the leg where it does (inferred)."),
        "CalledNumber": text("What was dialled (documented)."),
        "CallStatus": text(
            "Of a hang-up `ANSWER`, `BUSY`, `NOANSWER`, `CANCEL`, `CONGESTION`, `CHANUNAVAIL`, `UNKNOWN`; `CALLING` of "
            "the dialling events (documented)."
        ),
        "CallFlow": text("`IN` received by the extension, `OUT` made by it (documented)."),
        "CallAPIID": text("Id for controlling the call (documented of a derivative); kept with the event."),
    },
    required=("CallID",),
    examples={
        "missed": {
            "CallID": "7c1e0b42d9",
            "CallerIDNum": "+15550100123",
            "CallerIDName": "",
            "CalledDID": "15550100900",
            "CalledExtension": "0007*101",
            "CallerExtension": "",
            "CalledNumber": "0007*101",
            "CallStatus": "NOANSWER",
            "CallFlow": "IN",
            "CallAPIID": "88-7c1e0b42d9",
        },
    },
    event="The call event that this URL is for.",
)

_IDS: Final[Json] = {"type": "array", "items": whole(minimum=1, maximum=2**63 - 1)}
_OUR_FIELDS: Final[Mapping[str, Json]] = {
    "event": text("`ringing`, `answered`, `ended` or `noted`. Another word: `accepted` is false. Required."),
    "call": text("Your id of the call, the same in all its messages. Required. Also `call_id`, `call_key`.", **_ID),
    "leg": text("Extension or PBX user that this is about; without it the call itself.", **_ID),
    "direction": text("`incoming` (`in`), `outgoing` (`out`), `internal`."),
    "from": text("Who calls."),
    "to": text("Who is called."),
    "did": text("The company's number that the call came in on."),
    "from_name": text(),
    "to_name": text(),
    "queue": text(),
    "user": text("PBX subscriber who is addressed."),
    "user_ids": {**_IDS, "description": "Whom to show it to. One of this and the next two; in a form with commas."},
    "group_ids": _IDS,
    "pbx_user_ids": {"type": "array", "items": text(minLength=1, **_ID)},
    "outcome": text("Of `ended`: `answered`, `busy`, `missed`, `canceled`, `failed`, `unknown`."),
    "cause": text("Your own word for how it ended."),
    "authority": text("`live`, or `record`: told afterwards, and believed before what was told live."),
    "duration_seconds": text("From start to end."),
    "talk_seconds": text(),
    "recording": text("URL, `http` or `https`."),
    "comment": text(),
    "client_id": text(),
    "contact_id": text(),
    "external_id": text(),
    "time": text("When it happened: ISO 8601, Unix seconds or milliseconds."),
    "started_at": text("When the call began."),
}
_OURS: Final = Provider(
    title="any telephone system",
    about="For a telephone system that has no adapter of its own. All names are ours; a channel with a *mapping file* "
    "takes the names that it says instead. A mapping that can't be used is 503, and the request is kept.",
    fields=_OUR_FIELDS,
    examples={
        "rings": {"event": "ringing", "call": "c-1", "from": "220000101", "did": "220000900"},
        "missed": {"event": "ended", "call": "c-1", "outcome": "missed"},
    },
)
_DATERA: Final = _OURS._replace(
    title="Datera",
    about="Datera documents no webhook: this is the generic hook under its name, with our own field names or those of "
    "the channel's *mapping file*. A mapping that can't be used is 503, and the request is kept.",
)

PROVIDERS: Final[Mapping[str, Provider]] = {
    "supervoip": _SUPERVOIP,
    "telecube": _TELECUBE,
    "voipnow": _VOIPNOW,
    "datera": _DATERA,
    "generic": _OURS,
}
"""By the name of the adapter."""
