"""What became of providers' requests, `/api/v1/requests` and `/hooks/requests/<id>`."""

from typing import Final

from services.history.openapi.common import (
    CURSOR,
    DAY_OR_TIME,
    FREE_TEXT,
    ID,
    LIMIT,
    READING,
    WRONG_PARAMETERS,
    option,
    page_of,
)
from shared.http.openapi import (
    BEARER,
    HOOKS,
    PROBLEM,
    Document,
    Json,
    answer,
    array,
    moment,
    nullable,
    obj,
    ref,
    segment,
    text,
    whole,
)

_TAG: Final = "requests"
_OUTCOME: Final = text(enum=["accepted", "unrecognised", "refused"])
_ID: Final = segment("id", text(minLength=1, maxLength=200), "`X-Request-Id` of its answer.")
_EXAMPLE: Final[Json] = {
    "id": "c6f0bca04e910cfd35227430b4566ee8",
    "received_at": "2026-03-02T09:16:17.250000+00:00",
    "channel_id": 4,
    "provider": "supervoip",
    "method": "POST",
    "path": "/hooks/supervoip/5a3cf1b2",
    "query": "",
    "content_type": "application/x-www-form-urlencoded",
    "status": 422,
    "outcome": "refused",
    "reason": "what a call needs is missing or can't be used; callid is required (or uniqueid)",
    "events": [],
    "call_uid": None,
    "encoding": "text",
    "body": "status=callend&direction=in",
    "body_cut": False,
    "applied_at": None,
}


def describe(document: Document) -> None:
    """Add requests."""
    document.tag(_TAG, "What providers sent, accepted, refused or not understood, and what came of it.")
    document.schema("Request", _request())
    document.schema("RequestsPage", page_of("Request"))
    document.operation(
        "GET",
        "/api/v1/requests",
        id="listRequests",
        tag=_TAG,
        summary="Requests of providers, newest first",
        description="Refused ones are kept for some weeks.",
        parameters=[
            LIMIT,
            CURSOR,
            option("date_from", DAY_OR_TIME, "Received then or later; without an offset in UTC."),
            option("date_to", DAY_OR_TIME, "Received then or earlier; a day counts to its end."),
            option("channel_id", ID, "On this channel."),
            option("provider", FREE_TEXT, "Of this provider."),
            option("outcome", _OUTCOME, "With this outcome."),
        ],
        security=[BEARER],
        responses={
            200: answer("One page.", ref("RequestsPage"), examples={"last page": {"items": [_EXAMPLE], "next": None}}),
            **PROBLEM({**READING, **WRONG_PARAMETERS}),
        },
    )
    document.operation(
        "GET",
        "/api/v1/requests/{id}",
        id="showRequest",
        tag=_TAG,
        summary="The latest request with an id",
        parameters=[_ID],
        security=[BEARER],
        responses={
            200: answer("The request.", ref("Request"), examples={"request": _EXAMPLE}),
            **PROBLEM({**READING, 404: "The account has no such request."}),
        },
    )
    document.operation(
        "GET",
        "/hooks/requests/{id}",
        id="showRequestToProvider",
        tag=_TAG,
        summary="The same, for whoever has the key of the channel that it came in on",
        parameters=[_ID],
        security=[
            document.security("channel_key", {"type": "http", "scheme": "bearer", "description": "The channel's key."}),
            document.security("channel_key_in_query", {"type": "apiKey", "in": "query", "name": "key"}),
        ],
        responses={
            200: answer("The request.", ref("Request"), examples={"request": _EXAMPLE}),
            **HOOKS(
                {
                    401: "No key.",
                    404: "No channel has this key, or it had no such request.",
                    503: "The database is away, or the key can't be looked up now.",
                }
            ),
        },
    )


def _request() -> Json:
    event = obj({"id": text(format="uuid"), "type": text(), "call_uid": text(format="uuid")})
    return obj(
        {
            "id": text("`X-Request-Id` of its answer."),
            "received_at": moment("Our clock."),
            "channel_id": nullable(whole("Null where its key was none of the account's.", minimum=1)),
            "provider": text(),
            "method": text(),
            "path": text("Without its key."),
            "query": text("Without credentials."),
            "content_type": text(),
            "status": whole("What was answered.", minimum=100, maximum=599),
            "outcome": _OUTCOME,
            "reason": nullable(text("Why it was not accepted, or told nothing new.")),
            "events": array(event, description="What came of it."),
            "call_uid": nullable(text("The call of the first event.", format="uuid")),
            "encoding": text("`base64` where the body is no text.", enum=["text", "base64"]),
            "body": text("The first 16 kB; credentials are replaced."),
            "body_cut": {"type": "boolean", "description": "Whether there was more of it."},
            "applied_at": nullable(moment("When it was applied after all.")),
        }
    )
