"""Opening a connection: what ends it never ends the one who waits for it."""

from __future__ import annotations

import asyncio

import pytest

from shared.bus.link import open_within
from shared.bus.supervise import Lost
from shared.bus.wire import Connection


class CancelledFromWithin(Connection):
    async def connect(self, *_: object, **__: object) -> bool:
        raise asyncio.CancelledError


async def test_handshake_that_the_client_library_cancels_is_a_lost_connection() -> None:
    connection = CancelledFromWithin(
        "amqp://127.0.0.1:1/", name="t", heartbeat_seconds=10, on_blocked=lambda _reason: None
    )
    with pytest.raises(Lost):
        await open_within(connection, 5)
