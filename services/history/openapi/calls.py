"""`/api/v1/calls` and the calls of a chain and of a location."""

from collections.abc import Iterable, Mapping
from typing import Final

from pydantic import BaseModel

from services.history.openapi.common import (
    BIGGEST,
    CURSOR,
    DIRECTION,
    ID,
    ID_IN_PATH,
    LIMIT,
    OUTCOME,
    READING,
    WRONG_PARAMETERS,
    option,
    page_of,
)
from shared.call import State
from shared.events import CallData, EndedData, MissedData, RoutedData, SettledData
from shared.http.openapi import (
    BEARER,
    PROBLEM,
    Document,
    Json,
    answer,
    array,
    models,
    moment,
    nullable,
    obj,
    ref,
    segment,
    text,
    whole,
)

_TAG: Final = "calls"
_STATE: Final = text(enum=[word.value for word in State])
_DATA: Final[Mapping[type[BaseModel], tuple[str, ...]]] = {
    CallData: ("call.ringing.v1", "call.answered.v1", "call.noted.v1"),
    EndedData: ("call.ended.v1",),
    RoutedData: ("call.routed.v1",),
    MissedData: ("call.missed.v1",),
    SettledData: ("call.missed-settled.v1",),
}
"""What the events of each type say."""
_SECONDS: Final[Json] = {"type": "number", "minimum": 0}
_EXAMPLE: Final[Json] = {
    "uid": "6dd89c3b-efa1-5b93-91b9-342df298a833",
    "id": 3,
    "channel_id": 4,
    "provider": "supervoip",
    "call_key": "8c4b02@sip.example",
    "state": "ended",
    "final": False,
    "outcome": "canceled",
    "direction": "incoming",
    "from": {"raw": "220000102", "e164": "+48220000102", "name": None},
    "to": {"raw": "220000900", "e164": "+48220000900", "name": None},
    "did": {"raw": "220000900", "e164": "+48220000900"},
    "queue": None,
    "started_at": "2026-03-02T09:16:44+00:00",
    "answered_at": None,
    "ended_at": "2026-03-02T09:17:02.287247+00:00",
    "duration_seconds": None,
    "talk_seconds": 0.0,
    "answered_by": None,
    "assignee": None,
    "locations": [],
    "client_id": None,
    "contact_id": None,
    "external_id": None,
    "comments": [],
    "recordings": [],
    "revision": 1,
    "created_at": "2026-03-02T09:16:45.330302+00:00",
    "updated_at": "2026-03-02T09:17:02.330302+00:00",
}


def describe(document: Document) -> None:
    """Add calls."""
    document.tag(_TAG, "Calls in Callbus' own words.")
    document.schemas({name: _without(schema, ("leg", "raw")) for name, schema in models(*_DATA).items()})
    document.schemas(_schemas())
    filters = (
        LIMIT,
        CURSOR,
        option("channel_id", ID, "Of this channel."),
        option("direction", DIRECTION, "In this direction."),
        option("state", _STATE, "In this state."),
        option("outcome", OUTCOME, "Ended so."),
    )
    of_location = option("location_id", ID, "That routing put into this location.")
    page = answer(
        "One page, newest first.",
        ref("CallsPage"),
        examples={"last page": {"items": [_EXAMPLE], "next": None}},
    )
    document.operation(
        "GET",
        "/api/v1/calls",
        id="listCalls",
        tag=_TAG,
        summary="Calls, newest first",
        parameters=[*filters, of_location],
        security=[BEARER],
        responses={200: page, **PROBLEM({**READING, **WRONG_PARAMETERS})},
    )
    document.operation(
        "GET",
        "/api/v1/chains/{id}/calls",
        id="listCallsOfChain",
        tag=_TAG,
        summary="Calls of a chain, newest first",
        description="A chain is an account: its id is the account's.",
        parameters=[segment("id", ID_IN_PATH, "The account."), *filters, of_location],
        security=[BEARER],
        responses={200: page, **PROBLEM({**READING, **WRONG_PARAMETERS, 404: "Not the token's account."})},
    )
    document.operation(
        "GET",
        "/api/v1/locations/{id}/calls",
        id="listCallsOfLocation",
        tag=_TAG,
        summary="Calls of a location, newest first",
        description="Those that routing put there.",
        parameters=[segment("id", ID_IN_PATH, "The location."), *filters],
        security=[BEARER],
        responses={200: page, **PROBLEM({**READING, **WRONG_PARAMETERS, 404: "The account has no such location."})},
    )
    document.operation(
        "GET",
        "/api/v1/calls/{uid}",
        id="showCall",
        tag=_TAG,
        summary="One call with its legs and its timeline",
        parameters=[segment("uid", text(format="uuid"), "The call.")],
        security=[BEARER],
        responses={
            200: answer("The call.", ref("CallWithTimeline")),
            **PROBLEM({**READING, 404: "The account has no such call."}),
        },
    )
    _describe_recording(document)


def _describe_recording(document: Document) -> None:
    link = {
        "account": "The account.",
        "sha256": "Of the recording: the file's hash. With a token: which recording, by default the latest.",
        "expires": "Until when the link is good, in Unix seconds.",
        "signature": "Ours; with it no token is needed.",
    }
    audio: Json = {"audio/mpeg": {}, "audio/mp4": {}, "audio/wav": {}, "audio/ogg": {}, "application/octet-stream": {}}
    etag = {"ETag": {"description": "The file's hash.", "schema": text()}}
    span = {"Content-Range": {"description": "Which bytes, of how many.", "required": True, "schema": text()}}
    document.operation(
        "GET",
        "/api/v1/calls/{uid}/recording",
        id="playRecording",
        tag=_TAG,
        summary="The sound of a call",
        description="By a link that we signed (good for a day), or with a token.",
        parameters=[
            segment("uid", text(format="uuid"), "The call."),
            *(option(name, text(), description) for name, description in link.items()),
            {
                "name": "Range",
                "in": "header",
                "description": "One range of bytes; several at once are answered with the whole file.",
                "schema": text(),
            },
        ],
        security=[BEARER, document.security("link", {"type": "apiKey", "in": "query", "name": "signature"})],
        responses={
            200: {**answer("The file.", headers=etag), "content": audio},
            206: {**answer("A part of it.", headers=etag | span), "content": audio},
            302: answer("It is at the provider.", headers={"Location": {"required": True, "schema": text()}}),
            304: answer("Unchanged since `If-None-Match`.", headers=etag),
            **PROBLEM(
                {
                    **READING,
                    403: "The token's scopes lack `calls:read`; or the link is wrong or too old.",
                    404: "The account has no such call, or the call no such recording.",
                    416: "The file has no byte of the range.",
                    503: "The database, the directory or the store of recordings is away.",
                }
            ),
        },
    )


def _schemas() -> dict[str, Json]:
    return {
        "Number": obj(
            {
                "raw": nullable(text("As the provider wrote it.")),
                "e164": nullable(text("Null where it could not be read.")),
                "name": nullable(text()),
            },
        ),
        "CallOfList": obj(
            {
                **_common(),
                "from": ref("Number"),
                "to": ref("Number"),
                "did": obj(
                    {"raw": nullable(text()), "e164": nullable(text())},
                    description="The company's number that was called.",
                ),
            },
            description="A number of which nothing was told has nulls alone.",
        ),
        "CallsPage": page_of("CallOfList"),
        "KnownNumber": obj({"raw": text(), "e164": nullable(text()), "name": nullable(text())}),
        "Leg": _leg(),
        "KnownContact": obj(
            {
                "name": text(),
                "level": text("How surely: `exact`, `national`, `suffix`."),
                "client_id": nullable(whole()),
                "contact_id": nullable(whole()),
            }
        ),
        "Words": _words(),
        "TimelineEntry": _entry(),
        "CallWithTimeline": _whole(),
    }


def _common() -> dict[str, Json]:
    """Return what a call has in lists and alone."""
    return {
        "uid": text(format="uuid"),
        "id": whole("The CRM API's number of the call.", minimum=1),
        "channel_id": whole("The channel it came in by.", minimum=1),
        "provider": text(),
        "call_key": nullable(text("The provider's own id of the call.")),
        "state": nullable({**_STATE, "description": "Null while nothing but notes is known."}),
        "final": {
            "type": "boolean",
            "description": "False: an ended call may come back when another leg starts.",
        },
        "outcome": nullable({**OUTCOME, "description": "Null until it has ended."}),
        "direction": nullable(DIRECTION),
        "queue": nullable(text("The queue that it waits in.")),
        "started_at": moment("As the provider tells it, else when the first word of it came."),
        "answered_at": nullable(moment("First answer; null also where the provider never says it.")),
        "ended_at": nullable(moment()),
        "duration_seconds": nullable({**_SECONDS, "description": "As told, from start to end."}),
        "talk_seconds": nullable({**_SECONDS, "description": "As told, else from the first answer to the end."}),
        "answered_by": nullable(text("The leg that has the call, or had it last.")),
        "assignee": nullable(whole("The user whose call it is.")),
        "locations": array(whole(), description="Where routing put it."),
        "client_id": nullable(whole()),
        "contact_id": nullable(whole()),
        "external_id": nullable(text("Somebody else's key for it.")),
        "comments": array(text(), description="Every different one, in order."),
        "recordings": array(
            ref("Recording"), description="Every different one, in order; what is not told is left out."
        ),
        "revision": whole(
            "0 until it first ended; rises whenever it has ended otherwise than before.", minimum=0, maximum=BIGGEST
        ),
        "created_at": moment("Our clock: first stored."),
        "updated_at": moment("Our clock: last changed."),
    }


def _whole() -> Json:
    known = nullable(ref("KnownNumber"))
    return obj(
        {
            **_common(),
            "from": known,
            "to": known,
            "did": {**known, "description": "The company's number that was called."},
            "cause": nullable(text("The provider's word for how it ended.")),
            "legs": array(ref("Leg"), description="By start. Empty: the provider names none."),
            "audience": array(whole(), description="Users who must see it."),
            "contacts": array(ref("KnownContact"), description="Known people behind the number."),
            "call_number": nullable(whole("Under which an API answered for it.")),
            "ticket_number": nullable(whole("Its ticket.")),
            "department_id": nullable(whole("The department that its ticket went to.")),
            "timeline": array(ref("TimelineEntry"), description="Every event, by `time`.", minItems=1),
        }
    )


def _leg() -> Json:
    return obj(
        {
            "leg": text("Extension or PBX user."),
            "state": _STATE,
            "started_at": moment(),
            "answered_at": nullable(moment()),
            "ended_at": nullable(moment()),
            "outcome": nullable(OUTCOME),
            "talk_seconds": nullable(_SECONDS),
        }
    )


def _entry() -> Json:
    by_type = [
        {"properties": {"type": {"enum": list(types)}, "data": ref(data.__name__)}} for data, types in _DATA.items()
    ]
    return obj(
        {
            "id": text(format="uuid"),
            "type": text(enum=[each for types in _DATA.values() for each in types]),
            "time": moment("When it happened: by the provider's clock where it always tells one, else by ours."),
            "received_at": moment("Our clock when it came in."),
            "source": text("Who said it: `/ingest/<provider>/<channel id>`, or a service."),
            "request_id": nullable(text("`X-Request-Id` of the webhook's answer.")),
            "leg": text("The extension that it is about; empty: the call itself."),
            "data": {"type": "object", "description": "What it says; what is not told is left out."},
            "raw": nullable(ref("Words")),
        },
        oneOf=by_type,
    )


def _words() -> Json:
    return obj(
        {
            "method": text(),
            "query": text(),
            "content_type": text(),
            "encoding": text("`base64` where the body is no text.", enum=["text", "base64"]),
            "body": text(),
        },
        description="The provider's own request, credentials removed.",
    )


def _without(schema: Json, names: Iterable[str]) -> Json:
    """Return an object's schema without some of its properties."""
    properties = {name: each for name, each in schema.get("properties", {}).items() if name not in names}
    required = [name for name in schema.get("required", ()) if name in properties]
    return {**schema, "properties": properties, "required": required} if properties else schema
