"""What ingest answers, as OpenAPI 3.1: one module per API."""

from services.ingest.openapi import channel_key, hooks, partner
from shared.http.openapi import Document

_DESCRIPTION = """\
Takes what telephone systems say and answers once it is safe: a 2xx leaves only after RabbitMQ has confirmed the events,
or, while it can't, after they are on disk, from where they are forwarded.

Every answer carries `X-Request-Id`. A slash at the end of a path makes no difference. A method that a path does not
take is 405 with `Allow`. After a 503 send the same request again: it is the same event. A 500 is a fault of ours; the
request is kept.

*Documented* is what the vendor documents, *seen* is from requests or clients of that system, *inferred* is our reading
where the vendor says nothing."""


def document(base_url: str) -> Document:
    """Return the document of the service; `base_url` is the edge's."""
    made = Document("Callbus ingest", _DESCRIPTION, base_url)
    hooks.describe(made)
    partner.describe(made)
    channel_key.describe(made)
    return made
