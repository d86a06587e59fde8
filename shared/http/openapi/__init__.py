"""OpenAPI 3.1 documents: put together once at start from data that stands beside the handlers, served at /openapi.json.

    document = Document("Callbus ingest", "What ...", base_url)
    document.operation("GET", "/api/v1/calls", id="listCalls", tag="calls", summary="...", responses={...})
    serve(app, document)

Error answers are made by `PROBLEM`, `CRM`, `HOOKS`, ...: one `Errors` per envelope of `shared.http.envelopes`.
"""

from shared.http.openapi._document import BEARER, QUERY_TOKEN, Document, serve
from shared.http.openapi._errors import CRM, HOOKS, PARTNER, PROBLEM, TELEPHONY, Errors
from shared.http.openapi._models import models
from shared.http.openapi._parts import (
    Json,
    answer,
    array,
    header,
    moment,
    nullable,
    obj,
    query,
    ref,
    segment,
    text,
    whole,
)

__all__ = [
    "BEARER",
    "CRM",
    "HOOKS",
    "PARTNER",
    "PROBLEM",
    "QUERY_TOKEN",
    "TELEPHONY",
    "Document",
    "Errors",
    "Json",
    "answer",
    "array",
    "header",
    "models",
    "moment",
    "nullable",
    "obj",
    "query",
    "ref",
    "segment",
    "serve",
    "text",
    "whole",
]
