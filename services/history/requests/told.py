"""A provider's request as it is shown to its account, to the provider and to operators. Pure."""

from __future__ import annotations

import base64
import binascii
import zlib
from codecs import getincrementaldecoder
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final
from uuid import UUID

import orjson

from services.history.reading import Row

BODY_BYTES: Final = 16 * 1024
"""How much of a body is shown."""
PACKED_CHARACTERS: Final = 24_000
"""So many characters of a stored body, packed or not, always hold that much of it: base64 has four for three bytes, and
zlib makes nothing longer than by a few bytes."""

ACCEPTED: Final = "accepted"
NOBODY: Final = UUID(int=0)
"""Stands for the event that told of a request, where there is none: an accepted one is told by its own events."""

_WORDS: Final = ("method", "query", "content_type", "encoding", "body")
# What the URL of an accepted request was, as far as it is no secret.
_PATHS: Final = {"partner": "/voip/integration", "channel_key": "/api/v2/telephony/calls"}
_STATUSES: Final = {"partner": 202}


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """One request. `words` is how its body is stored: the parts of an event's `raw`."""

    id: str
    event_id: UUID
    received_at: datetime
    account_id: int
    channel_id: int | None
    provider: str
    method: str
    path: str
    status: int
    outcome: str
    reason: str | None
    events: Sequence[Mapping[str, Any]]
    words: Mapping[str, Any]
    body_cut: bool = False
    headers: Mapping[str, str] | None = None
    path_event: str = ""
    applied_at: datetime | None = None

    @property
    def place(self) -> tuple[datetime, str, UUID]:
        """Where it stands in a list."""
        return self.received_at, self.id, self.event_id


def kept(row: Row) -> Told:
    """Return a request as `history.requests` has it."""
    applied_at = row["applied_at"]
    return Told(
        id=row["id"],
        event_id=row["event_id"],
        received_at=row["received_at"],
        account_id=row["account_id"],
        channel_id=row["channel_id"],
        provider=row["provider"],
        method=row["method"],
        path=row["path"],
        status=row["status"],
        outcome=row["outcome"] if applied_at is None else ACCEPTED,
        reason=row["reason"],
        events=orjson.loads(row["applied_events"]),
        words=orjson.loads(row["raw"]) if row["raw"] else {},
        body_cut=row["body_cut"],
        headers=orjson.loads(row["headers"]),
        path_event=row["path_event"],
        applied_at=applied_at,
    )


def accepted(account_id: int, rows: Sequence[Row], reason: str | None = None) -> Told:
    """Return a request by the events that came of it; of these the first that has the provider's words tells them.

    `reason` says why it told nothing new, where it did not.
    """
    first = rows[0]
    words = next((row for row in rows if row["encoding"] is not None), first)
    return Told(
        id=first["request_id"],
        event_id=NOBODY,
        received_at=first["received_at"],
        account_id=account_id,
        channel_id=first["channel_id"],
        provider=first["provider"],
        method=words["method"] or "",
        path=_PATHS.get(first["provider"], f"/hooks/{first['provider']}"),
        status=_STATUSES.get(first["provider"], 200),
        outcome=ACCEPTED,
        reason=reason,
        events=[{"id": str(row["id"]), "type": row["type"], "call_uid": str(row["uid"])} for row in rows],
        words={name: words[name] for name in _WORDS},
        body_cut=len(words["body"] or "") >= PACKED_CHARACTERS,
    )


def shown(told: Told) -> dict[str, Any]:
    """Return a request as its account and its provider see it."""
    body, cut = _beginning(told.words)
    return {
        "id": told.id,
        "received_at": told.received_at,
        "channel_id": told.channel_id,
        "provider": told.provider,
        "method": told.method,
        "path": told.path,
        "query": told.words.get("query") or "",
        "content_type": told.words.get("content_type") or "",
        "status": told.status,
        "outcome": told.outcome,
        "reason": told.reason,
        "events": told.events,
        "call_uid": told.events[0]["call_uid"] if told.events else None,
        **_readable(body, cut=cut or told.body_cut),
        "body_cut": cut or told.body_cut,
        "applied_at": told.applied_at,
    }


def for_operators(told: Told) -> dict[str, Any]:
    """Return a request as operators see it: also whose it is, and all that is needed to apply it again."""
    return {
        **shown(told),
        "event_id": None if told.event_id == NOBODY else str(told.event_id),
        "account_id": told.account_id,
        "headers": told.headers,
        "path_event": told.path_event,
        "raw": None if told.event_id == NOBODY else told.words or None,
    }


def _beginning(words: Mapping[str, Any]) -> tuple[bytes, bool]:
    """Return the first bytes of a body, whose stored form may have been cut, and whether there are more."""
    text = words.get("body") or ""
    try:
        match words.get("encoding"):
            case "zlib":
                body = zlib.decompressobj().decompress(_from_base64(text), BODY_BYTES + 1)
            case "base64":
                body = _from_base64(text)
            case _:
                body = text.encode()
    except (binascii.Error, zlib.error, UnicodeError):  # no service of ours stores such
        body = b""
    return body[:BODY_BYTES], len(body) > BODY_BYTES


def _from_base64(text: str) -> bytes:
    return binascii.a2b_base64(text[: len(text) // 4 * 4])


def _readable(body: bytes, *, cut: bool) -> dict[str, str]:
    """Return a body as text where it is text; half a character at the end of one that was cut is left out."""
    try:
        return {"encoding": "text", "body": getincrementaldecoder("utf-8")().decode(body, final=not cut)}
    except UnicodeDecodeError:
        return {"encoding": "base64", "body": base64.b64encode(body).decode()}
