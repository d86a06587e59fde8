"""SuperVoIP as seen from the webhook: it posts calls, repeats what was not taken, and remembers what was promised.

It writes as that provider does (form, JSON, flat XML or query) and never changes a body when it repeats it. The ledger
is the other side of "accepted means durable": what is in `accepted` must be in history.
"""

from __future__ import annotations

import asyncio
import random
import time
import zlib
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from statistics import median
from typing import Any, Final, Literal
from urllib.parse import urlencode
from xml.sax.saxutils import escape

import aiohttp
import orjson
from yarl import URL

Wire = Literal["form", "json", "xml", "query"]
WIRES: Final[tuple[Wire, ...]] = ("form", "json", "xml", "query")

_CONTENT_TYPES: Final[Mapping[Wire, str]] = {
    "form": "application/x-www-form-urlencoded",
    "json": "application/json",
    "xml": "text/xml",
    "query": "",
}


@dataclass(frozen=True, slots=True)
class Webhook:
    """One request as the provider sends it; `query` is what it appends to the channel's URL."""

    call_id: str
    status: str
    content_type: str
    body: bytes
    query: str


def webhook(status: str, call_id: str, *, wire: Wire = "form", **changes: str) -> Webhook:
    """Return SuperVoIP's notification of `status` for a call; `changes` replace or add fields."""
    fields = {**_fields(status, call_id), **changes}
    body, query = _written(fields, wire)
    return Webhook(call_id, status, _CONTENT_TYPES[wire], body, query)


def _fields(status: str, call_id: str) -> dict[str, str]:
    caller = 220000000 + zlib.crc32(call_id.encode()) % 100000
    fields = {
        "status": status,
        "direction": "in",
        "numberA": str(caller),
        "numberB": "220000900",
        "sipnumber": "1250001",
        "createdat": "1772442904",
        "callid": call_id,
    }
    if status == "callend":
        fields |= {"disposition": "ANSWER", "billseconds": "73"}
    return fields


def _written(fields: Mapping[str, str], wire: Wire) -> tuple[bytes, str]:
    """Return (body, query)."""
    if wire == "json":
        return orjson.dumps(fields), ""
    if wire == "xml":
        inner = "".join(f"<{name}>{escape(value)}</{name}>" for name, value in fields.items())
        return f'<?xml version="1.0" encoding="UTF-8"?><call>{inner}</call>'.encode(), ""
    encoded = urlencode(fields)
    return (b"", encoded) if wire == "query" else (encoded.encode(), "")


class NotTaken(Exception):
    """A request was refused for good, or not taken within the provider's patience."""


@dataclass(slots=True)
class Ledger:
    """What became of the requests; `seconds` has the latency of each answer that was 2xx."""

    sent: int = 0
    retried: int = 0
    answers: Counter[str] = field(default_factory=Counter)
    accepted: list[Webhook] = field(default_factory=list)
    seconds: list[float] = field(default_factory=list)

    def calls(self, status: str) -> Counter[str]:
        """Return how many accepted requests of `status` there were, by call id."""
        return Counter(each.call_id for each in self.accepted if each.status == status)

    def __str__(self) -> str:
        answers = ", ".join(f"{count} {answer}" for answer, count in sorted(self.answers.items()))
        took = f"{median(self.seconds):.3f} s, at most {max(self.seconds):.1f} s" if self.seconds else "never"
        return f"{self.sent} requests sent ({self.retried} of them repeats): {answers}; accepted in {took}"


class Provider:
    """Posts to one channel's URL and enters what happens in its ledger."""

    def __init__(self, session: aiohttp.ClientSession, url: str, *, patience_seconds: float = 90.0) -> None:
        self.ledger = Ledger()
        self._session = session
        self._url = url
        self._patience_seconds = patience_seconds

    async def post(self, request: Webhook) -> dict[str, Any]:
        """Post until it is answered 2xx and return that answer. Raises `NotTaken`."""
        end = time.monotonic() + self._patience_seconds
        while (answer := await self._attempt(request)) is None:
            if time.monotonic() > end:
                raise NotTaken(f"{request.status} of {request.call_id}: not taken in {self._patience_seconds:.0f} s")
            await asyncio.sleep(random.uniform(0.05, 0.3))
            self.ledger.retried += 1
        return answer

    async def more_accepted(self, count: int) -> None:
        """Return when so many more requests were answered 2xx."""
        target = len(self.ledger.accepted) + count
        while len(self.ledger.accepted) < target:
            await asyncio.sleep(0.05)

    async def _attempt(self, request: Webhook) -> dict[str, Any] | None:
        """Post once; return the answer if it was 2xx, None if it is worth another try."""
        self.ledger.sent += 1
        started = time.perf_counter()
        try:
            status, answer = await self._send(request)
        except (aiohttp.ClientError, TimeoutError) as error:
            # Whether it was taken, nobody can tell.
            self.ledger.answers[type(error).__name__] += 1
            return None
        self.ledger.answers[str(status)] += 1
        if 200 <= status < 300:
            self.ledger.seconds.append(time.perf_counter() - started)
            self.ledger.accepted.append(request)
            return answer
        if status < 500 and status != 429:
            raise NotTaken(f"{request.status} of {request.call_id}: {status} {answer}")
        return None

    async def _send(self, request: Webhook) -> tuple[int, dict[str, Any]]:
        # Exactly as the provider writes it: the client would spell some characters in its own way.
        url = URL(f"{self._url}?{request.query}" if request.query else self._url, encoded=True)
        headers = {"Content-Type": request.content_type} if request.content_type else {}
        async with self._session.post(url, data=request.body, headers=headers) as response:
            text = await response.read()
            return response.status, orjson.loads(text) if response.status < 300 else {"text": text.decode()[:200]}


async def play_calls(
    provider: Provider,
    stop: asyncio.Event,
    *,
    connections: int = 16,
    pause_seconds: float = 0.005,
    wires: Sequence[Wire] = WIRES,
    name: str = "call",
) -> None:
    """Play whole calls (one rings, then it ends) over some connections at a time until `stop` is set.

    Calls that have begun are played to their end. Raises `NotTaken`.
    """

    async def line(number: int) -> None:
        count = 0
        while not stop.is_set():
            count += 1
            call_id = f"{name}-{number}-{count}@sip.example"
            wire = wires[(number + count) % len(wires)]
            await provider.post(webhook("callstart", call_id, wire=wire))
            await asyncio.sleep(random.uniform(0, pause_seconds))
            await provider.post(webhook("callend", call_id, wire=wire))
            await asyncio.sleep(random.uniform(0, pause_seconds))

    async with asyncio.TaskGroup() as lines:
        for number in range(connections):
            lines.create_task(line(number))
