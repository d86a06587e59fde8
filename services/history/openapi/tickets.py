"""`/api/v1/tickets`."""

from typing import Final

from services.history.openapi.common import CURSOR, ID, ID_IN_PATH, LIMIT, READING, WRONG_PARAMETERS, option, page_of
from shared.http.openapi import (
    BEARER,
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

_TAG: Final = "tickets"
_EXAMPLE: Final[Json] = {
    "id": 9007,
    "call_uid": "6dd89c3b-efa1-5b93-91b9-342df298a833",
    "call_id": 4101,
    "channel_id": 5,
    "department_id": 1,
    "assignee": None,
    "number": {"raw": "15550100123", "e164": "+15550100123", "name": None},
    "comments": [],
    "created_at": "2026-03-02T09:16:45.330302+00:00",
    "updated_at": "2026-03-02T09:17:02.330302+00:00",
}


def describe(document: Document) -> None:
    """Add tickets."""
    document.tag(_TAG, "Tickets that calls made: one for each call of the channel-key API.")
    document.schema("Ticket", _ticket())
    document.schema("TicketsPage", page_of("Ticket"))
    document.operation(
        "GET",
        "/api/v1/tickets",
        id="listTickets",
        tag=_TAG,
        summary="Tickets, highest number first",
        parameters=[
            LIMIT,
            CURSOR,
            option("assignee", ID, "Of this user."),
            option("department_id", ID, "In this department."),
            option("channel_id", ID, "Of calls of this channel."),
        ],
        security=[BEARER],
        responses={
            200: answer("One page.", ref("TicketsPage"), examples={"last page": {"items": [_EXAMPLE], "next": None}}),
            **PROBLEM({**READING, **WRONG_PARAMETERS}),
        },
    )
    document.operation(
        "GET",
        "/api/v1/tickets/{id}",
        id="showTicket",
        tag=_TAG,
        summary="One ticket",
        parameters=[segment("id", ID_IN_PATH, "The ticket's number.")],
        security=[BEARER],
        responses={
            200: answer("The ticket.", ref("Ticket"), examples={"ticket": _EXAMPLE}),
            **PROBLEM({**READING, 404: "The account has no such ticket."}),
        },
    )


def _ticket() -> Json:
    return obj(
        {
            "id": whole("The number that the call's API answered with.", minimum=1),
            "call_uid": text("The call in `/api/v1/calls`.", format="uuid"),
            "call_id": nullable(whole("The call's number in its API.")),
            "channel_id": whole(minimum=1),
            "department_id": nullable(whole("The channel's department when the call came in.")),
            "assignee": nullable(whole("The user whose call it is.")),
            "number": {**ref("Number"), "description": "The end outside."},
            "comments": array(text()),
            "created_at": moment(),
            "updated_at": moment(),
        }
    )
