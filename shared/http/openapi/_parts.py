"""The small parts that documents are put together from, each a plain JSON value."""

from collections.abc import Mapping, Sequence
from typing import Any, Final

Json = dict[str, Any]

REF: Final = "#/components/schemas/{model}"


def ref(name: str) -> Json:
    """Return a reference to a schema of the document."""
    return {"$ref": REF.format(model=name)}


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
    """Return a reference to one of the headers that every document has: see `HEADERS`."""
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


HEADERS: Final[Mapping[str, Json]] = {
    "RequestId": {
        "description": "Leads to this request in our logs: the sender's own, where it sends 8 to 64 characters of "
        "`[A-Za-z0-9._-]`, else one of ours.",
        "required": True,
        "schema": text(pattern="^[A-Za-z0-9][A-Za-z0-9._-]{7,63}$"),
    },
    "RetryAfter": {"description": "Seconds.", "required": True, "schema": whole(minimum=1)},
    "Challenge": {"description": "The scheme to use.", "required": True, "schema": {"const": "Bearer"}},
}
