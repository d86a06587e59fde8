"""What the parts of the document share."""

from collections.abc import Mapping
from typing import Final

from shared.events import Direction, Outcome
from shared.http.openapi import Json, array, nullable, obj, query, ref, text, whole

BIGGEST: Final = 2**63 - 1
DIRECTION: Final = text(enum=[word.value for word in Direction])
OUTCOME: Final = text(enum=[word.value for word in Outcome])
ID: Final = whole(minimum=1, maximum=BIGGEST)
ID_IN_PATH: Final = whole(minimum=0, maximum=10**19 - 1)
"""What is no number of up to 19 digits names nothing: 404."""
DAY_OR_TIME: Final[Json] = {
    "type": "string",
    "pattern": r"^(?!0000|0001|9999)",  # beyond all calendars in some time zones
    "anyOf": [{"format": "date"}, {"format": "date-time"}],
}
FREE_TEXT: Final = text(maxLength=1000, pattern=r"^[^\u0000]*$")

READING: Final[Mapping[int, str]] = {
    401: "No token, or one that is unknown, expired or revoked.",
    403: "The token's scopes lack `calls:read`.",
    503: "The database or the directory is away, or the query took too long.",
}
WRONG_PARAMETERS: Final[Mapping[int, str]] = {422: "Some parameters are wrong; every one of them is named."}


def option(name: str, schema: Json, description: str) -> Json:
    """Return a parameter that may be left out, or be empty."""
    return query(name, schema, description, allowEmptyValue=True)


LIMIT: Final = option(
    "limit", whole(minimum=1, maximum=BIGGEST, default=50), "How many items; more than 500 counts as 500."
)
CURSOR: Final = option(
    "cursor", text(format="cursor"), "The `next` of the page before, as it is, with the other parameters sent again."
)


def page_of(name: str) -> Json:
    """Return the schema of one page of a list by cursor."""
    return obj(
        {
            "items": array(ref(name)),
            "next": nullable(text("Cursor of the next page; null on the last.")),
        }
    )
