"""The partner API's list of calls, `GET /voip/integration/calls`."""

from typing import Final

from services.history.openapi.common import BIGGEST, DAY_OR_TIME, DIRECTION, FREE_TEXT, ID, option
from shared.http.openapi import PARTNER, Document, Json, answer, array, nullable, obj, query, ref, text, whole

_TAG: Final = "partner API"
_PATH: Final = "/voip/integration/calls"
_STATUS: Final = text(enum=["success", "missed", "cancel", "busy", "notallowed", "notavailable", "notfound"])
_EXAMPLE: Final[Json] = {
    "id": 1,
    "client_id": 0,
    "caller_phone": "+48220000101",
    "record_link": "",
    "duration": 73,
    "status": "success",
    "type": "incoming",
    "call_date": "2026-03-02T10:15:04+01:00",
}


def describe(document: Document) -> None:
    """Add the list."""
    document.tag(
        _TAG,
        "The list of the VoIP API of Altegio and YCLIENTS. Parameters, fields, both tokens and the answers 200, 401 "
        "and 403 are documented; that they are query parameters, defaults, order and the other answers are ours.",
    )
    document.schema("PartnerCall", _call())
    both = document.security(
        "partner_and_user",
        {
            "type": "apiKey",
            "in": "header",
            "name": "Authorization",
            "description": "`Bearer <partner token>, User <user token>`: both, in one header.",
        },
    )
    document.operation(
        "GET",
        _PATH,
        id="listPartnerCalls",
        tag=_TAG,
        summary="Ended calls of a location, newest first",
        description="A list may be written `types[]=` (any number of times), `types[0]=` or `types=`. Days are of the "
        "location's time zone.",
        parameters=[
            query("salon_id", ID, "The location.", required=True),
            query("date_from", DAY_OR_TIME, "From this day on.", required=True),
            query("date_to", DAY_OR_TIME, "To the end of this day.", required=True),
            option("phone", FREE_TEXT, "The whole number of the other side."),
            option("types[]", array(DIRECTION), "In one of these directions."),
            option("statuses[]", array(_STATUS), "With one of these statuses."),
            option("page", whole(minimum=1, maximum=10**9, default=1), "Which page."),
            option("limit", whole(minimum=1, maximum=BIGGEST, default=25), "How many; more than 500 counts as 500."),
        ],
        security=[both],
        responses={
            200: answer(
                "One page; behind the last one an empty list.",
                obj(
                    {
                        "success": {"const": True},
                        "data": array(ref("PartnerCall")),
                        "meta": {"type": "object", "maxProperties": 0},
                    }
                ),
                examples={"page": {"success": True, "data": [_EXAMPLE], "meta": {}}},
            ),
            **PARTNER(
                {
                    401: "One of the tokens is missing, unknown, expired or revoked.",
                    403: "The partner is not entitled to the chain, the user's token lacks `calls:read`, or the "
                    "chain has no such location.",
                    422: "Some parameters are wrong; every one of them is named.",
                    503: "The database or the directory is away, or the query took too long.",
                }
            ),
        },
        also=[f"/api/v1{_PATH}"],
    )


def _call() -> Json:
    return obj(
        {
            "id": whole(minimum=1),
            "client_id": whole("0 where no client is known.", minimum=0),
            "caller_phone": text("The other side's number; empty where it was withheld."),
            "record_link": text("Address of the recording; empty where there is none."),
            "duration": whole("Seconds.", minimum=0),
            "status": _STATUS,
            "type": nullable({**DIRECTION, "description": "Null where it was not told."}),
            "call_date": text("Start, in the location's time zone.", format="date-time"),
        }
    )
