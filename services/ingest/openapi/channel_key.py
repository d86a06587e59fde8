"""The channel-key API, `POST /api/v2/telephony/calls/@<key>`."""

from typing import Final

from services.ingest.openapi.common import LIMITS, NOT_BLANK
from services.ingest.providers.channel_key.asked import STATUSES
from shared.http.openapi import TELEPHONY, Document, Json, answer, array, nullable, obj, ref, segment, text, whole

_TAG: Final = "channel-key API"
_STATUS: Final = text(
    "`ringing` and `in-progress` are active, the others final: `answered` means that it is over.", enum=list(STATUSES)
)
_ID: Final = {"type": ["string", "integer"], "maxLength": 255}
_NUMBER: Final = whole(minimum=0, maximum=10**18 - 1)
_CREATE: Final[Json] = {
    "action": "create_call",
    "direction": "incoming",
    "phone": "15550100123",
    "pbx_call_id": "pbx-77-1042",
    "pbx_user_ids": ["101", "102"],
}
_UPDATE: Final[Json] = {
    "action": "update_call",
    "pbx_call_id": "pbx-77-1042",
    "call_status": "answered",
    "pbx_user_id": "102",
}
_ANSWER: Final[Json] = {
    "data": {
        "call_id": 4101,
        "pbx_call_id": "pbx-77-1042",
        "user_id": None,
        "pbx_user_id": None,
        "call_status": "ringing",
        "audio_record": None,
        "ticket_id": 9007,
    }
}
_ERRORS: Final = {
    400: "The body can't be read.",
    403: "The channel is switched off.",
    404: "No channel has this key, or the channel has no such call.",
    408: "The body did not arrive in time.",
    413: "The file, or the rest of the body, is too large; or there are too many or too long fields.",
    415: "`audio_record` is not an mp3, mp4, wav or ogg file; or the body is compressed in a way that we don't know.",
    422: "Parameters are missing, exclude each other, or name whom the account does not have.",
    429: "More requests than the channel may send.",
    503: "The database or the store of recordings is away: send it again.",
}


def describe(document: Document) -> None:
    """Add the channel-key API."""
    document.tag(
        _TAG,
        "The telephony API of HelpDeskEddy. The path, the parameters, their rules and the fields of an answer are "
        "documented; statuses of HTTP and the errors' words are ours, in the envelope that the vendor's client "
        "knows. An `Authorization` is ignored.",
    )
    document.schemas({"CreateCall": _create(), "UpdateCall": _update(), "TelephonyCall": _call()})
    asked = {"oneOf": [ref("CreateCall"), ref("UpdateCall")]}
    with_file = {"allOf": [asked, obj({"audio_record": _file()}, optional=("audio_record",))]}
    examples = {"create": {"value": _CREATE}, "update": {"value": _UPDATE}}
    document.operation(
        "POST",
        "/api/v2/telephony/calls/@{key}",
        id="postTelephonyCall",
        tag=_TAG,
        summary="Create or update a call",
        description="A repeated `create_call` with a known `pbx_call_id` answers with the same call and ticket; "
        "without one, the header `Idempotency-Key` does the same. A call that is over stays over. Lists are written "
        "`name[]` in forms; what is empty counts as left out, a long list (hundreds) is 413.",
        parameters=[
            segment("key", text(minLength=1, maxLength=512), "The channel's key: the credential."),
            {
                "name": "Idempotency-Key",
                "in": "header",
                "description": "Of a `create_call` without `pbx_call_id`: names the request, so that its retry is one.",
                "schema": text(maxLength=255, pattern=r"^[ -~]*$"),
            },
        ],
        body={
            "required": True,
            "content": {
                "multipart/form-data": {
                    "schema": with_file,
                    "encoding": {"audio_record": {"contentType": "audio/mpeg, audio/mp4, audio/wav, audio/ogg"}},
                },
                "application/json": {"schema": asked, "examples": examples},
                "application/x-www-form-urlencoded": {"schema": asked},
            },
        },
        responses={
            200: answer("The call.", ref("TelephonyCall"), examples={"call": _ANSWER}),
            **TELEPHONY(_ERRORS),
        },
    )


def _create() -> Json:
    people = {
        "user_ids": _one_or_more(_NUMBER, "Users who see the card. One of these three."),
        "group_ids": _one_or_more(_NUMBER),
        "pbx_user_ids": _one_or_more(_ID, "Those of whom nobody is known see no card."),
    }
    optional = {
        "call_status": {**_STATUS, "default": "ringing"},
        "pbx_call_id": {**_ID, "description": "The PBX's own id of the call."},
        **people,
        "comment": text("Goes to the ticket."),
    }
    return obj(
        {
            "action": {"const": "create_call"},
            "direction": text(enum=["incoming", "outgoing", "in", "out"]),
            "phone": {
                "type": ["string", "integer"],
                "maxLength": 255,
                "pattern": NOT_BLANK,
                "description": "The customer's number in both directions.",
            },
            **optional,
        },
        optional=tuple(optional),
        **LIMITS,
        **_at_most_one_of(*people),
    )


def _update() -> Json:
    optional = {
        "call_id": whole("The number that `create_call` answered. Exactly one of this and the next.", minimum=0),
        "pbx_call_id": {**_ID, "minLength": 1, "pattern": NOT_BLANK},
        "user_id": {**_NUMBER, "description": "Gives the call and its ticket to this user. One of this and the next."},
        "pbx_user_id": _ID,
        "comment": text(),
    }
    return obj(
        {"action": {"const": "update_call"}, "call_status": _STATUS, **optional},
        optional=tuple(optional),
        **LIMITS,
        oneOf=[{"required": ["call_id"]}, {"required": ["pbx_call_id"]}],
        **_at_most_one_of("user_id", "pbx_user_id"),
    )


def _one_or_more(item: Json, description: str = "") -> Json:
    schema: Json = {"anyOf": [array(item), item]}
    return {**schema, "description": description} if description else schema


def _at_most_one_of(*names: str) -> Json:
    pairs = [(a, b) for number, a in enumerate(names) for b in names[number + 1 :]]
    return {"not": {"anyOf": [{"required": list(pair)} for pair in pairs]}}


def _file() -> Json:
    return {
        "type": "string",
        "contentMediaType": "application/octet-stream",
        "description": "mp3, mp4, wav or ogg.",
    }


def _call() -> Json:
    return obj(
        {
            "data": obj(
                {
                    "call_id": whole(minimum=1),
                    "pbx_call_id": nullable(text()),
                    "user_id": nullable(whole("The user whose call it is.")),
                    "pbx_user_id": nullable(text("The PBX's id by which that user was named.")),
                    "call_status": _STATUS,
                    "audio_record": nullable(text("A signed link to the latest recording; good for 24 hours.")),
                    "ticket_id": whole("The call's ticket.", minimum=1),
                }
            )
        }
    )
