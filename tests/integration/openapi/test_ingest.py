"""Ingest answers whatever is sent as its document says."""

from __future__ import annotations

from typing import Any, Final

import aiohttp
import pytest
from schemathesis import Case

from tests.integration.openapi.schemas import at_random, exhaustive, thorough
from tests.integration.openapi.support import KEYS, PARTNER_TOKEN, Bus, ingest_document

KNOWN_VALUES: Final[dict[str, dict[str, list[Any]]]] = {
    "PartnerSetup": {"crm_token": [KEYS["partner"]], "type": ["enable"]},
    "PartnerEvent": {"crm_token": [KEYS["partner"]]},
    "PartnerHistory": {"crm_token": [KEYS["partner"]]},
    "CreateCall": {"user_ids": [1, 2, 3, 4], "group_ids": [1]},
    "UpdateCall": {"user_id": [1, 2, 3, 4]},
}
"""What alone is accepted, of the demo account."""
HOOKS: Final = ("supervoip", "telecube", "voipnow", "datera", "generic")
KNOWN: Final[dict[str, Any]] = {
    "operations": [
        *({"include-path-regex": f"^/hooks/{name}/", "parameters": {"path.key": KEYS[name]}} for name in HOOKS),
        # A PBX is refused nothing that can be made sense of, and what a GET or a mapping needs no schema says.
        {
            "include-path-regex": "^/hooks/",
            "checks": {"negative_data_rejection": {"enabled": False}, "positive_data_acceptance": {"enabled": False}},
        },
        # One adapter with everything that its schema suggests is enough: bodies are read by the same code for all.
        {"include-path-regex": "^/hooks/[^s]", "phases": {"coverage": {"enabled": False}}},
        # A number counts as its text, and what is empty as left out.
        {"include-tag": ["partner API", "channel-key API"], "checks": {"negative_data_rejection": {"enabled": False}}},
        {
            "include-tag": "channel-key API",
            # A key that came with another request before would be 422.
            "parameters": {"path.key": KEYS["channel_key"], "header.Idempotency-Key": ""},
            # Bytes at random are no audio: 415.
            "checks": {"positive_data_acceptance": {"expected-statuses": ["2xx", "404", "415"]}},
        },
    ],
}


def of_the_demo(document: dict[str, Any]) -> dict[str, Any]:
    """Return `document` with the values that are accepted in place of all that could be."""
    schemas = document["components"]["schemas"]
    for name, fields in KNOWN_VALUES.items():
        for field, values in fields.items():
            schemas[name]["properties"][field] = {"enum": values}
    return document


DOCUMENT: Final = of_the_demo(ingest_document())


def documented_requests() -> list[Any]:
    """Return path, content type and body of every example."""
    found = []
    for path, item in ingest_document()["paths"].items():
        for content_type, media in item["post"]["requestBody"]["content"].items():
            for name, example in media.get("examples", {}).items():
                found.append(pytest.param(path, content_type, example["value"], id=f"{path} {content_type} {name}"))
    return found


@pytest.mark.parametrize(("path", "content_type", "body"), documented_requests())
async def test_every_example_is_accepted(path: str, content_type: str, body: dict[str, Any], bus: Bus) -> None:
    provider = path.split("/")[2] if path.startswith("/hooks/") else "channel_key"
    url = bus.ingest + path.format(key=KEYS[provider], event="hangup")
    if "crm_token" in body:
        body = {**body, "crm_token": KEYS["partner"]}
    sent: dict[str, Any] = {"json": body} if content_type == "application/json" else {"data": body}
    headers = {"Authorization": f"Bearer {PARTNER_TOKEN}"}
    async with aiohttp.ClientSession() as session, session.post(url, headers=headers, **sent) as answer:
        assert answer.status in (200, 202), await answer.text()
        assert (await answer.json()).get("accepted", True) is True


@thorough(DOCUMENT, KNOWN).parametrize()
def test_who_may_speak_is_answered_as_documented(case: Case[Any], bus: Bus) -> None:
    case.call_and_validate(base_url=bus.ingest, headers={"Authorization": f"Bearer {PARTNER_TOKEN}"})


@at_random(ingest_document()).parametrize()
def test_anybody_is_answered_as_documented(case: Case[Any], bus: Bus) -> None:
    case.call_and_validate(base_url=bus.ingest)


@pytest.mark.long
@exhaustive(DOCUMENT, KNOWN).parametrize()
def test_who_may_speak_very_often_is_answered_as_documented(case: Case[Any], bus: Bus) -> None:
    case.call_and_validate(base_url=bus.ingest, headers={"Authorization": f"Bearer {PARTNER_TOKEN}"})
