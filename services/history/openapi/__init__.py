"""What history answers, as OpenAPI 3.1: one module per API."""

from services.history.openapi import calls, crm, partner, requests, tickets
from shared.http.openapi import Document

_DESCRIPTION = """\
Calls, each with every event that was told of it and the provider's own words.

Every answer carries `X-Request-Id`, and holds what is of the token's account alone: another account's call is 404 like
one that never was. Deleted calls are shown nowhere. Times are ISO 8601. A field without a value is `null`, never left
out, unless it is said here to be optional. Every `GET` is answered to `HEAD` too; another method is 405 with `Allow`.

An unknown query parameter is ignored, an empty one counts as absent, of a repeated one the first counts; words may be
in any case. In a URL write `+` as `%2B`.

*Documented* is what the vendor of an API documents; what is not marked is ours."""


def document(base_url: str) -> Document:
    """Return the document of the service; `base_url` is the edge's."""
    made = Document("Callbus history", _DESCRIPTION, base_url)
    calls.describe(made)
    tickets.describe(made)
    requests.describe(made)
    crm.describe(made)
    partner.describe(made)
    return made
