"""The documents that services answer under /openapi.json: valid, complete, and their examples are what they say."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

import pytest
from aiohttp import web
from jsonschema import Draft202012Validator, FormatChecker
from openapi_spec_validator import OpenAPIV31SpecValidator
from referencing import Registry
from referencing.jsonschema import DRAFT202012

import services.history.app
import services.history.openapi
import services.history.settings
import services.ingest.app
import services.ingest.openapi
import services.ingest.settings

NOWHERE = {"amqp_url": "amqp://nowhere", "postgres_dsn": "postgresql://nowhere", "recordings_url": "memory:///"}
FOR_OPERATORS = ("/healthz", "/readyz", "/metrics", "/openapi.json", "/api/v1/admin/")
BASE_URL = "https://calls.example.org"


class Service(NamedTuple):
    """A service that is not running, and its document."""

    app: web.Application
    document: dict[str, Any]


def ingest() -> Service:
    settings = services.ingest.settings.Settings.model_validate(NOWHERE)
    return Service(services.ingest.app.build(settings), services.ingest.openapi.document(BASE_URL).build())


def history() -> Service:
    settings = services.history.settings.Settings.model_validate(NOWHERE)
    return Service(services.history.app.create(settings), services.history.openapi.document(BASE_URL).build())


@pytest.fixture(params=[ingest, history], ids=["ingest", "history"], scope="module")
def service(request: pytest.FixtureRequest) -> Service:
    made: Service = request.param()
    return made


def operations(document: dict[str, Any]) -> Iterator[tuple[str, str, dict[str, Any]]]:
    for path, item in document["paths"].items():
        for method, operation in item.items():
            yield method.upper(), path, operation


def test_a_document_is_valid(service: Service) -> None:
    OpenAPIV31SpecValidator(service.document).validate()


def test_every_route_is_documented_and_every_documented_path_is_served(service: Service) -> None:
    """A slash at the end and `HEAD` are said once for all, in the document's description."""
    served = {
        (route.method, route.resource.canonical.rstrip("/"))
        for route in service.app.router.routes()
        if route.resource is not None and not route.resource.canonical.startswith(FOR_OPERATORS)
    }
    documented = {(method, path) for method, path, _ in operations(service.document)}
    assert {route for route in served if route[0] != "HEAD"} == documented


def test_every_operation_says_what_it_is_and_what_can_go_wrong(service: Service) -> None:
    names = [operation["operationId"] for *_, operation in operations(service.document) if "x-same-as" not in operation]
    assert len(names) == len(set(names))
    tags = {tag["name"] for tag in service.document["tags"]}
    for _, path, operation in operations(service.document):
        assert operation["summary"]
        assert set(operation["tags"]) <= tags
        assert {"400", "503"} <= operation["responses"].keys(), path


def test_every_schema_is_used(service: Service) -> None:
    text = str(service.document)
    unused = [
        name for name in service.document["components"]["schemas"] if f"'#/components/schemas/{name}'" not in text
    ]
    assert unused == []


def test_every_example_is_what_its_schema_says(service: Service) -> None:
    registry = Registry[Any]().with_resource("urn:document", DRAFT202012.create_resource(service.document))
    examples = list(_examples(service.document, "urn:document#"))
    assert examples
    for where, example in examples:
        schema = {"$ref": f"{where}/schema"}
        Draft202012Validator(schema, registry=registry, format_checker=FormatChecker()).validate(example)


def _examples(node: Any, where: str) -> Iterator[tuple[str, Any]]:
    """Yield every example with the place of its media type."""
    if isinstance(node, list):
        for number, each in enumerate(node):
            yield from _examples(each, f"{where}/{number}")
    elif isinstance(node, dict):
        for name, example in node.get("examples", {}).items() if "schema" in node else ():
            assert name
            yield where, example["value"]
        for name, each in node.items():
            yield from _examples(each, f"{where}/{name.replace('~', '~0').replace('/', '~1')}")
