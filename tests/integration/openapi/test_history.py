"""History answers whatever is asked as its document says."""

from __future__ import annotations

from typing import Any, Final

import pytest
from schemathesis import Case

from tests.integration.openapi.schemas import at_random, exhaustive, thorough
from tests.integration.openapi.support import (
    CALLS,
    KEYS,
    PARTNER_TOKEN,
    RECORDED,
    REQUEST,
    TOKEN,
    USER_TOKEN,
    Bus,
    history_document,
)

DOCUMENT: Final = history_document()
KNOWN: Final[dict[str, Any]] = {
    "dictionaries": {"calls": {"values": CALLS}, "ids": {"values": list(range(1, 20))}},
    "parameters": {
        "path.uid": {"dictionary": "calls", "probability": 0.8},
        "path.id": {"dictionary": "ids", "probability": 0.8},
    },
    "operations": [
        {
            "include-path": ["/api/v1/chains/{id}/calls", "/api/v1/locations/{id}/calls"],
            "parameters": {"path.id": 1},
        },
        {
            "include-path": "/api/v1/calls/{uid}/recording",
            "parameters": {"path.uid": RECORDED},
            # A range may lie behind the end: 416.
            "checks": {"positive_data_acceptance": {"expected-statuses": ["2xx", "3xx", "403", "404", "416"]}},
        },
        {"include-path": "/api/v1/requests/{id}", "parameters": {"path.id": REQUEST}},
        {
            "include-path": "/hooks/requests/{id}",
            "parameters": {"path.id": REQUEST},
            "checks": {"ignored_auth": {"enabled": False}},  # an unknown key is 404, as everywhere under /hooks/
        },
        {
            "include-tag": "partner API",
            "parameters": {"query.salon_id": 1},
            # What is no list is written into the query as a list of nothing.
            "phases": {"fuzzing": {"checks": {"negative_data_rejection": {"enabled": False}}}},
        },
    ],
}


def authorization(path: str) -> dict[str, str]:
    """Return the header of somebody who may ask for `path`."""
    if "/voip/integration/" in path:
        return {"Authorization": f"Bearer {PARTNER_TOKEN}, User {USER_TOKEN}"}
    return {"Authorization": f"Bearer {KEYS['supervoip'] if path.startswith('/hooks/') else TOKEN}"}


@thorough(DOCUMENT, KNOWN).parametrize()
def test_who_may_ask_is_answered_as_documented(case: Case[Any], bus: Bus) -> None:
    case.call_and_validate(base_url=bus.history, headers=authorization(case.operation.path))


@at_random(DOCUMENT).parametrize()
def test_anybody_is_answered_as_documented(case: Case[Any], bus: Bus) -> None:
    case.call_and_validate(base_url=bus.history)


@pytest.mark.long
@exhaustive(DOCUMENT, KNOWN).parametrize()
def test_who_may_ask_very_often_is_answered_as_documented(case: Case[Any], bus: Bus) -> None:
    case.call_and_validate(base_url=bus.history, headers=authorization(case.operation.path))
