"""Ingest as one would write it in an afternoon with FastAPI and FastStream: the same job, plainly.

It reads SuperVoIP's form, validates it with pydantic, checks the channel's key, makes the same envelope with the same
kind of ids and the provider's words in it, publishes it persistent and mandatory to the same exchange, and answers when
the broker has confirmed. It is spared what ingest does beyond that: reading numbers as E.164, other wire formats, the
directory, rate limits, metrics, request ids in logs.

Run by `uvicorn tests.bench.baseline_faststream:app` with CALLBUS_AMQP_URL; the topology must exist.
"""

import hashlib
import hmac
import os
import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import Any, Literal
from urllib.parse import parse_qsl

from fastapi import FastAPI, HTTPException, Request
from faststream.rabbit import Channel, ExchangeType, RabbitBroker, RabbitExchange
from pydantic import BaseModel, Field

CHANNEL_ID = 1
KEY = "baseline"
_KEY_HASH = hashlib.sha256(KEY.encode()).hexdigest()
_TYPES = {"callstart": "call.ringing.v1", "queuestart": "call.ringing.v1", "callend": "call.ended.v1"}
_OUTCOMES = {"ANSWER": "answered", "BUSY": "busy", "NOANSWER": "missed", "CANCEL": "canceled"}


class Notification(BaseModel):
    """SuperVoIP's fields."""

    status: Literal["callstart", "queuestart", "callend"]
    direction: str = "in"
    number_a: str = Field(alias="numberA")
    number_b: str = Field(alias="numberB")
    sipnumber: str = ""
    disposition: str = ""
    billseconds: float | None = None
    createdat: str = ""
    callid: str


class Party(BaseModel):
    raw: str


class Data(BaseModel):
    channel_id: int
    provider: str
    call_key: str
    leg: str
    direction: str
    from_: Party = Field(serialization_alias="from")
    to: Party
    outcome: str | None = None
    talk_seconds: float | None = None
    raw: dict[str, str]


class Event(BaseModel):
    specversion: str = "1.0"
    id: uuid.UUID
    type: str
    source: str
    subject: uuid.UUID
    time: datetime
    datacontenttype: str = "application/json"
    account: int
    receivedat: datetime
    requestid: str
    data: Data


broker = RabbitBroker(os.environ.get("CALLBUS_AMQP_URL"), default_channel=Channel(on_return_raises=True), logger=None)
calls = RabbitExchange("calls", type=ExchangeType.TOPIC, durable=True, declare=False)


@asynccontextmanager
async def lifespan(_app: FastAPI) -> AsyncIterator[None]:
    await broker.start()
    yield
    await broker.stop()


app = FastAPI(lifespan=lifespan)


@app.post("/hooks/supervoip/{key}")
async def hook(key: str, request: Request) -> dict[str, Any]:
    """Publish what the provider says and answer."""
    if not hmac.compare_digest(hashlib.sha256(key.encode()).hexdigest(), _KEY_HASH):
        raise HTTPException(404)
    body = (await request.body()).decode()
    fields = dict(parse_qsl(body, keep_blank_values=True))
    event = _event(Notification.model_validate(fields), fields, body)
    await broker.publish(
        event.model_dump_json(by_alias=True, exclude_none=True).encode(),
        exchange=calls,
        routing_key=f"{event.type}.{event.subject.int % 16:02d}",
        persist=True,
        mandatory=True,
        message_id=str(event.id),
        content_type="application/cloudevents+json",
    )
    return {"accepted": True, "request_id": event.requestid, "events": 1}


def _event(said: Notification, fields: dict[str, str], body: str) -> Event:
    now = datetime.now(UTC)
    subject = uuid.uuid5(uuid.NAMESPACE_URL, f"{CHANNEL_ID}/{said.callid}")
    words = hashlib.sha256(repr(sorted(fields.items())).encode()).hexdigest()
    ended = said.status == "callend"
    return Event(
        id=uuid.uuid5(subject, words),
        type=_TYPES[said.status],
        source=f"/ingest/supervoip/{CHANNEL_ID}",
        subject=subject,
        time=now,
        account=1,
        receivedat=now,
        requestid=uuid.uuid4().hex,
        data=Data(
            channel_id=CHANNEL_ID,
            provider="supervoip",
            call_key=said.callid,
            leg=said.sipnumber,
            direction="incoming" if said.direction == "in" else "outgoing",
            from_=Party(raw=said.number_a),
            to=Party(raw=said.number_b),
            outcome=_OUTCOMES.get(said.disposition, "unknown") if ended else None,
            talk_seconds=said.billseconds if ended else None,
            raw={"method": "POST", "content_type": "application/x-www-form-urlencoded", "body": body},
        ),
    )
