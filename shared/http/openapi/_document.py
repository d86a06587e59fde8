"""A document, and serving it."""

import re
from collections.abc import Mapping, Sequence
from typing import Any, Final

import orjson
from aiohttp import web

from shared.http.openapi._errors import SCHEMAS
from shared.http.openapi._parts import HEADERS, Json, ref

VERSION: Final = "1.0.0"
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


class Document:
    """One service's document, while it is put together."""

    def __init__(self, title: str, description: str, base_url: str) -> None:
        self._paths: dict[str, Json] = {}
        self._tags: list[Json] = []
        self._schemas: dict[str, Json] = dict(SCHEMAS)
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
            "responses": {str(status): response for status, response in sorted(responses.items())},
            "security": [{name: []} for name in security],
        }
        self._paths.setdefault(path, {})[method.lower()] = described
        for other in also:
            same = {name: value for name, value in described.items() if name != "operationId"}
            same |= {"description": f"The same as `{path}`.", "x-same-as": path}
            self._paths.setdefault(other, {})[method.lower()] = same

    def build(self) -> Json:
        """Return the document, with those components alone that it refers to."""
        return {
            **self._head,
            "tags": self._tags,
            "paths": self._paths,
            "components": {
                "schemas": self._used_schemas(),
                "headers": dict(HEADERS),
                "securitySchemes": self._used_security_schemes(),
            },
        }

    def _used_schemas(self) -> dict[str, Json]:
        used: set[str] = set()
        found = _schemas_in(self._paths)
        while found:
            used |= found
            found = set().union(*(_schemas_in(self._schemas[name]) for name in found)) - used
        return {name: schema for name, schema in self._schemas.items() if name in used}

    def _used_security_schemes(self) -> dict[str, Json]:
        operations = [operation for item in self._paths.values() for operation in item.values()]
        used = {name for operation in operations for either in operation["security"] for name in either}
        return {name: scheme for name, scheme in self._security_schemes.items() if name in used}


def serve(app: web.Application, document: Document) -> None:
    """Answer `GET /openapi.json` with `document`."""
    body = orjson.dumps(document.build())

    async def show(_request: web.Request) -> web.Response:
        return web.Response(body=body, content_type="application/json")

    app.router.add_get("/openapi.json", show)


def _schemas_in(value: Any) -> set[str]:
    return set(re.findall(r'"#/components/schemas/([^"]+)"', orjson.dumps(value).decode()))
