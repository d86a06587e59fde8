"""OpenAPI 3.1 documents: put together once at start from data that stands beside the handlers, served at /openapi.json.

    document = Document("Callbus ingest", "What ...", base_url)
    document.operation("GET", "/api/v1/calls", id="listCalls", tag="calls", summary="...", responses={...})
    serve(app, document)

Error answers are made by `PROBLEM`, `CRM` and `HOOKS` (one per envelope of `shared.http.envelopes`), those of another
API by its own `Errors`.
"""

from collections.abc import Mapping, Sequence
from typing import Any, Final, NamedTuple

import orjson
from aiohttp import web
from pydantic import BaseModel
from pydantic.json_schema import GenerateJsonSchema, models_json_schema
from pydantic_core import core_schema

Json = dict[str, Any]

VERSION: Final = "1.0.0"
_REF: Final = "#/components/schemas/{model}"
_UNREADABLE: Final = "Not a request that can be read, or headers over the limits (16 KiB each, 100 in all)."


def ref(name: str) -> Json:
    """Return a reference to a schema of the document."""
    return {"$ref": _REF.format(model=name)}


def obj(properties: Mapping[str, Json], optional: Sequence[str] = (), **more: Any) -> Json:
    """Return an object's schema; every property but the `optional` ones is always there."""
    required = [name for name in properties if name not in optional]
    return {"type": "object", "properties": dict(properties), **({"required": required} if required else {}), **more}


def array(items: Json, **more: Any) -> Json:
    """Return a list's schema."""
    return {"type": "array", "items": items, **more}


def text(description: str = "", **more: Any) -> Json:
    """Return a string's schema."""
    return {"type": "string", **({"description": description} if description else {}), **more}


def whole(description: str = "", **more: Any) -> Json:
    """Return a whole number's schema."""
    return {"type": "integer", **({"description": description} if description else {}), **more}


def moment(description: str = "", **more: Any) -> Json:
    """Return a time's schema: ISO 8601 with an offset."""
    return text(description, format="date-time", **more)


def nullable(schema: Json) -> Json:
    """Return `schema` with null allowed."""
    if "type" not in schema:
        return {"anyOf": [schema, {"type": "null"}]}
    more = {"enum": [*schema["enum"], None]} if "enum" in schema else {}
    return {**schema, "type": [schema["type"], "null"], **more}


def query(name: str, schema: Json, description: str, **more: Any) -> Json:
    """Return a parameter of the query."""
    return {"name": name, "in": "query", "description": description, "schema": schema, **more}


def segment(name: str, schema: Json, description: str, **more: Any) -> Json:
    """Return a parameter of the path."""
    return {"name": name, "in": "path", "required": True, "description": description, "schema": schema, **more}


def header(name: str) -> Json:
    """Return a reference to one of the headers that every document has: see `_HEADERS`."""
    return {"$ref": f"#/components/headers/{name}"}


def answer(
    description: str,
    schema: Json | None = None,
    *,
    content_type: str = "application/json",
    headers: Mapping[str, Json] | None = None,
    examples: Mapping[str, Any] | None = None,
) -> Json:
    """Return a response. `examples` are whole bodies by name."""
    content: Json = {} if schema is None else {content_type: {"schema": schema}}
    if examples:
        content[content_type]["examples"] = {name: {"value": value} for name, value in examples.items()}
    response: Json = {"description": description, "headers": {"X-Request-Id": header("RequestId"), **(headers or {})}}
    return {**response, "content": content} if content else response


class Errors(NamedTuple):
    """An API's error answers: `errors({404: "There is no such call."})` are responses by status."""

    schema: Json
    content_type: str = "application/json"
    by_status: Mapping[int, Json] = {}
    """Schemas of the statuses whose body is another."""
    challenge: bool = True
    """Whether a 401 says `WWW-Authenticate`."""

    def __call__(self, reasons: Mapping[int, str]) -> dict[int, Json]:
        return {status: self._answer(status, reason) for status, reason in reasons.items()}

    def _answer(self, status: int, reason: str) -> Json:
        headers = {}
        if status in (429, 503):
            headers["Retry-After"] = header("RetryAfter")
        if status == 401 and self.challenge:
            headers["WWW-Authenticate"] = header("Challenge")
        schema = self.by_status.get(status, self.schema)
        return answer(reason, schema, content_type=self.content_type, headers=headers)


PROBLEM: Final = Errors(ref("Problem"), "application/problem+json")
CRM: Final = Errors(ref("CrmError"), by_status={422: ref("CrmFieldErrors")})
HOOKS: Final = Errors(ref("HookError"))

_WRONG_FIELD: Final = obj({"field": text("As it was sent; dots lead into what is nested."), "detail": text()})
_SCHEMAS: Final[Mapping[str, Json]] = {
    "Problem": obj(
        {
            "type": {"const": "about:blank"},
            "title": text("The status in words."),
            "status": whole(minimum=400, maximum=599),
            "detail": text("About this request."),
            "code": text("For programs, where there is one: `unauthorized`, `scope`, `unavailable`."),
            "errors": array(_WRONG_FIELD, description="Every wrong field.", minItems=1),
            "request_id": text("As in `X-Request-Id`; empty where the request could not be read at all."),
        },
        optional=("detail", "code", "errors"),
        description="RFC 9457.",
    ),
    "CrmError": obj({"error": text()}),
    "CrmFieldErrors": obj(
        {
            "errors": {
                "type": "object",
                "additionalProperties": array(text(), minItems=1),
                "description": "What is wrong, by field.",
                "minProperties": 1,
            }
        }
    ),
    "HookError": obj(
        {
            "accepted": {"const": False},
            "request_id": text("As in `X-Request-Id`."),
            "error": text(),
            "errors": array(_WRONG_FIELD, description="Every wrong field.", minItems=1),
        },
        optional=("errors",),
    ),
}
_HEADERS: Final[Mapping[str, Json]] = {
    "RequestId": {
        "description": "Leads to this request in our logs: the sender's own, where it sends 8 to 64 characters of "
        "`[A-Za-z0-9._-]`, else one of ours.",
        "required": True,
        "schema": text(pattern="^[A-Za-z0-9][A-Za-z0-9._-]{7,63}$"),
    },
    "RetryAfter": {"description": "Seconds.", "required": True, "schema": whole(minimum=1)},
    "Challenge": {"description": "The scheme to use.", "required": True, "schema": {"const": "Bearer"}},
}
BEARER: Final = "bearer"
QUERY_TOKEN: Final = "query_token"  # noqa: S105 - a scheme's name
_SECURITY_SCHEMES: Final[Mapping[str, Json]] = {
    BEARER: {"type": "http", "scheme": "bearer", "description": "An API token of the account (`cb_...`)."},
    QUERY_TOKEN: {
        "type": "apiKey",
        "in": "query",
        "name": "api_token",
        "description": "The same token, under `/voip/` alone. Prefer the header: URLs end up in other people's logs.",
    },
}


def models(*models: type[BaseModel]) -> dict[str, Json]:
    """Return the schemas of `models` and all that they refer to by name, as they are published: see `_Published`."""
    _, found = models_json_schema(
        [(model, "serialization") for model in models], by_alias=True, ref_template=_REF, schema_generator=_Published
    )
    schemas: dict[str, Json] = found["$defs"]
    return schemas


class Document:
    """One service's document, while it is put together."""

    def __init__(self, title: str, description: str, base_url: str) -> None:
        self._paths: dict[str, Json] = {}
        self._tags: list[Json] = []
        self._schemas: dict[str, Json] = dict(_SCHEMAS)
        self._security_schemes: dict[str, Json] = dict(_SECURITY_SCHEMES)
        self._head: Json = {
            "openapi": "3.1.0",
            "info": {
                "title": title,
                "version": VERSION,
                "description": description,
                "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
            },
            "servers": [{"url": base_url.rstrip("/") or "/", "description": "The edge."}],
        }

    def tag(self, name: str, description: str) -> None:
        """Add an API of the service."""
        self._tags.append({"name": name, "description": description})

    def schema(self, name: str, schema: Json) -> Json:
        """Add a schema; return a reference to it."""
        self._schemas[name] = schema
        return ref(name)

    def schemas(self, schemas: Mapping[str, Json]) -> None:
        """Add several schemas by name."""
        self._schemas.update(schemas)

    def security(self, name: str, scheme: Json) -> str:
        """Add a way to say who is asking; return its name."""
        self._security_schemes[name] = scheme
        return name

    def operation(
        self,
        method: str,
        path: str,
        *,
        id: str,  # noqa: A002 - OpenAPI's word
        tag: str,
        summary: str,
        responses: Mapping[int, Json],
        description: str = "",
        parameters: Sequence[Json] = (),
        body: Json | None = None,
        security: Sequence[str] = (),
        also: Sequence[str] = (),
    ) -> None:
        """Add one operation. Any one of `security` is enough. `also` are other paths that answer the same."""
        described: Json = {
            "operationId": id,
            "tags": [tag],
            "summary": summary,
            **({"description": description} if description else {}),
            **({"parameters": list(parameters)} if parameters else {}),
            **({"requestBody": body} if body else {}),
            "responses": {str(status): response for status, response in sorted(_with_400(responses).items())},
            "security": [{name: []} for name in security],
        }
        self._paths.setdefault(path, {})[method.lower()] = described
        for other in also:
            same = {name: value for name, value in described.items() if name != "operationId"}
            same |= {"description": f"The same as `{path}`.", "x-same-as": path}
            self._paths.setdefault(other, {})[method.lower()] = same

    def build(self) -> Json:
        """Return the document."""
        return {
            **self._head,
            "tags": self._tags,
            "paths": self._paths,
            "components": {
                "schemas": self._schemas,
                "headers": dict(_HEADERS),
                "securitySchemes": self._security_schemes,
            },
        }


def serve(app: web.Application, document: Document) -> None:
    """Answer `GET /openapi.json` with `document`."""
    body = orjson.dumps(document.build())

    async def show(_request: web.Request) -> web.Response:
        return web.Response(body=body, content_type="application/json")

    app.router.add_get("/openapi.json", show)


def _with_400(responses: Mapping[int, Json]) -> dict[int, Json]:
    """Add what HTTP itself refuses, on any path: before its API is known, so in no envelope and with no id."""
    own = responses.get(400, {})
    reason = " Or: ".join([*([own["description"]] if own else []), _UNREADABLE])
    content = {**own.get("content", {}), "application/problem+json": {"schema": ref("Problem")}}
    return {**responses, 400: {"description": reason, "content": content}}


class _Published(GenerateJsonSchema):
    """Schemas of what is dumped without nulls, with defaults filled in, and without a title for every field."""

    def nullable_schema(self, schema: core_schema.NullableSchema) -> Json:
        return self.generate_inner(schema["schema"])

    def default_schema(self, schema: core_schema.WithDefaultSchema) -> Json:
        return self.generate_inner(schema["schema"])

    def field_is_required(
        self,
        field: core_schema.ModelField | core_schema.DataclassField | core_schema.TypedDictField,
        total: bool,
    ) -> bool:
        inner = field["schema"]
        while inner["type"] == "default":
            inner = inner["schema"]
        return bool(inner["type"] != "nullable")

    def field_title_should_be_set(self, schema: object) -> bool:
        return False
