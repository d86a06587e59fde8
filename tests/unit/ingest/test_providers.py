"""Every provider's fixtures: a request as it comes in, and the events that are made of it.

`CALLBUS_UPDATE_GOLDEN=1 pytest tests/unit/ingest/test_providers.py` rewrites the expected files; read the diff.
"""

import json
import os
from datetime import datetime
from pathlib import Path
from typing import Any, Literal

import pytest
from pydantic import BaseModel, ConfigDict

import services.ingest.providers
from services.ingest.adapter import Mapped
from services.ingest.errors import Incomplete, Refused
from services.ingest.intake import Arrival, Intake
from services.ingest.providers import BY_NAME
from services.ingest.settings import Settings
from shared.bus import Message
from shared.directory import Channel
from shared.events import parse

FOLDER = Path(services.ingest.providers.__file__).parent
CASES = sorted(FOLDER.glob("*/fixtures/*.in.json"))


class Sent(BaseModel):
    """The request of a fixture; `body` is text, sent as UTF-8."""

    model_config = ConfigDict(extra="forbid")
    method: Literal["GET", "POST"]
    query: str
    headers: dict[str, str]
    body: str


class Fixture(BaseModel):
    """One `.in.json`; `event` is the one that the URL names, for providers that have it there."""

    model_config = ConfigDict(extra="forbid")
    origin: Literal["documented", "captured", "inferred"]
    note: str
    channel: dict[str, Any]
    event: str = ""
    received_at: datetime
    request: Sent


class Silent:
    """A keeper for tests that publish nothing."""

    async def keep(self, messages: object) -> None:
        raise AssertionError("a mapping publishes nothing")


def settings() -> Settings:
    return Settings.model_validate({"amqp_url": "amqp://nowhere", "postgres_dsn": "postgresql://nowhere"})


def read(case: Path) -> Mapped:
    fixture = Fixture.model_validate_json(case.read_bytes())
    sent = fixture.request
    arrival = Arrival(
        method=sent.method,
        query=sent.query,
        content_type=sent.headers.get("Content-Type", ""),
        body=sent.body.encode(),
        received_at=fixture.received_at,
        request_id="request-of-the-fixture",
        traceparent=None,
    )
    adapter = BY_NAME[case.parent.parent.name]
    assert fixture.event in (adapter.path_events or ("",))
    return Intake(Silent()).read(arrival, adapter, Channel(**fixture.channel), fixture.event)


def outcome(case: Path) -> dict[str, Any]:
    """Return what becomes of a fixture; an error is an outcome too."""
    try:
        mapped = read(case)
    except Refused as error:
        told: dict[str, Any] = {"refused": type(error).__name__, "reason": str(error)}
        if isinstance(error, Incomplete):
            told["errors"] = [wrong._asdict() for wrong in error.errors]
        return told
    told = {"events": [json.loads(event.to_json()) for event in mapped.events], "oddities": list(mapped.oddities)}
    return told if mapped.sent_at is None else {**told, "sent_at": mapped.sent_at.isoformat()}


def case_id(case: Path) -> str:
    return f"{case.parent.parent.name}-{case.name.removesuffix('.in.json')}"


@pytest.mark.parametrize("case", CASES, ids=case_id)
def test_request_becomes_the_expected_events(case: Path) -> None:
    expected = case.with_name(case.name.replace(".in.json", ".out.json"))
    made = outcome(case)

    if os.environ.get("CALLBUS_UPDATE_GOLDEN"):
        expected.write_text(json.dumps(made, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
    assert made == json.loads(expected.read_bytes())


@pytest.mark.parametrize("case", CASES, ids=case_id)
def test_what_is_published_can_be_read_again(case: Path) -> None:
    try:
        events = read(case).events
    except Refused:
        events = []
    for event in events:
        assert parse(event.to_json()) == event


@pytest.mark.parametrize("name", BY_NAME)
def test_every_provider_has_a_readme_and_no_stray_expectation(name: str) -> None:
    folder = FOLDER / name
    inputs = {path.name.replace(".in.", ".") for path in (folder / "fixtures").glob("*.in.json")}
    outputs = {path.name.replace(".out.", ".") for path in (folder / "fixtures").glob("*.out.json")}

    assert (folder / "README.md").is_file()
    assert inputs == outputs


def test_messages_carry_the_events_id_and_lane() -> None:
    from services.ingest.intake import message_of

    event = read(FOLDER / "supervoip/fixtures/callstart.in.json").events[0]

    assert message_of(event) == Message(
        "calls", f"call.ringing.v1.{event.subject.int % 16:02d}", event.to_json(), str(event.id)
    )
