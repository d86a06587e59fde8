"""The CRM API's calls, `/voip/calls`."""

from typing import Final

from services.history.crm import STATUS
from services.history.openapi.common import (
    BIGGEST,
    DAY_OR_TIME,
    DIRECTION,
    FREE_TEXT,
    ID,
    ID_IN_PATH,
    READING,
    WRONG_PARAMETERS,
    option,
)
from shared.http.openapi import (
    BEARER,
    CRM,
    QUERY_TOKEN,
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

_TAG: Final = "crm calls"
_COLUMNS: Final = (
    "id",
    "start_time",
    "duration",
    "kind",
    "status",
    "number_from",
    "number_to",
    "voip_id",
    "client_id",
    "contact_id",
    "user_id",
    "external_id",
    "created_at",
    "updated_at",
)
_STATUS: Final = text(enum=list(STATUS.values()))
_NUMBER_FROM_0: Final = whole(minimum=0, maximum=BIGGEST)
_EXAMPLE: Final[Json] = {
    "id": 1,
    "voip_id": 4,
    "number_from": "+48220000101",
    "number_to": "+48220000900",
    "start_time": "2026-03-02T09:15:04+00:00",
    "duration": 73,
    "kind": "incoming",
    "status": "ANSWERED",
    "client_id": None,
    "contact_id": None,
    "description": None,
    "uid": "c560f029-da3b-581d-865e-72d752566bd5",
    "external_id": None,
    "user_id": None,
    "recording_url": None,
    "created_at": "2026-03-02T09:15:05.305695+00:00",
    "updated_at": "2026-03-02T09:16:17.330302+00:00",
}


def describe(document: Document) -> None:
    """Add the CRM's calls."""
    document.tag(
        _TAG,
        "The calls of the Intum (Sugester) VoIP API. Documented: the paths, the token, and the fields from `voip_id` "
        "to `description`. Pages, filters, errors, the words of `kind` and `status`, and the fields from `uid` on are "
        "ours.",
    )
    document.schema("CrmCall", _call())
    document.operation(
        "GET",
        "/voip/calls.json",
        id="listCrmCalls",
        tag=_TAG,
        summary="Calls by page, newest first",
        description="A day, or a time without an offset, is of the time zone that all of the account's channels share, "
        "else UTC's.",
        parameters=_parameters(),
        security=[BEARER, QUERY_TOKEN],
        responses={
            200: answer(
                "One page; behind the last one an empty list.",
                array(ref("CrmCall")),
                headers={
                    "X-Total-Count": {
                        "description": "How many calls there are on all pages.",
                        "required": True,
                        "schema": whole(minimum=0),
                    },
                    "Link": {
                        "description": 'Other pages: `rel="first"`, `prev`, `next`, `last`, where there are any.',
                        "schema": text(),
                    },
                },
                examples={"page": [_EXAMPLE]},
            ),
            **CRM({**READING, **WRONG_PARAMETERS}),
        },
        also=["/voip/calls"],
    )
    document.operation(
        "GET",
        "/voip/calls/{id}.json",
        id="showCrmCall",
        tag=_TAG,
        summary="One call",
        parameters=[segment("id", ID_IN_PATH, "The call's number.")],
        security=[BEARER, QUERY_TOKEN],
        responses={
            200: answer("The call.", ref("CrmCall"), examples={"call": _EXAMPLE}),
            **CRM({**READING, 404: "The account has no such call."}),
        },
        also=["/voip/calls/{id}"],
    )


def _parameters() -> list[Json]:
    return [
        option("page", whole(minimum=1, maximum=10**9, default=1), "Which page."),
        option(
            "per_page", whole(minimum=1, maximum=BIGGEST, default=25), "How many calls; more than 100 counts as 100."
        ),
        option(
            "order_by",
            text(enum=[sign + name for name in _COLUMNS for sign in ("", "-")], default="-start_time"),
            "By which field, with `-` descending; `null` comes last both ways.",
        ),
        option("q", FREE_TEXT, "Part of either number (as written or E.164) or of the description, in any case."),
        option("number", FREE_TEXT, "The whole number of either end, in E.164 or as it is written in its country."),
        option("date_from", DAY_OR_TIME, "Started then or later."),
        option("date_to", DAY_OR_TIME, "Started then or earlier; a day counts to its end."),
        option("kind", DIRECTION, "In this direction."),
        option("status", _STATUS, "With this status."),
        option("voip_id", ID, "Of this channel."),
        option("client_id", _NUMBER_FROM_0, "With this client."),
        option("contact_id", _NUMBER_FROM_0, "With this contact."),
        option("user_id", ID, "Of this user."),
        option("external_id", FREE_TEXT, "With this key of somebody else's."),
    ]


def _call() -> Json:
    return obj(
        {
            "id": whole("For ever; some numbers may be missing.", minimum=1),
            "voip_id": whole("The channel it came in by.", minimum=1),
            "number_from": nullable(text("E.164 where it could be read, else as written (empty: withheld).")),
            "number_to": nullable(text("The same of who is called.")),
            "start_time": moment("As the provider tells it, else when the first word of it came."),
            "duration": nullable(
                whole("Seconds, as told or talked; 0 where nobody answered. Null while nobody can say.", minimum=0)
            ),
            "kind": nullable({**DIRECTION, "description": "Null where it was not told."}),
            "status": _STATUS,
            "client_id": nullable(whole()),
            "contact_id": nullable(whole()),
            "description": nullable(text("The comments, one a line.")),
            "uid": text("The call in `/api/v1/calls`.", format="uuid"),
            "external_id": nullable(text("Somebody else's key for it.")),
            "user_id": nullable(whole("The user whose call it is.")),
            "recording_url": nullable(text("The latest recording.")),
            "created_at": moment("Our clock: first stored."),
            "updated_at": moment("Our clock: last changed."),
        }
    )
