"""aiormq with what it lacks: one write for many publishes, exact confirms, deliveries without a task each.

aiormq does the handshake, heartbeats, frames and synchronous methods. Overridden here, each for one reason:

- `Connection`: tells when the broker blocks it (aiormq only logs that), counts a peer as lost after two heartbeats
  rather than three, and can be aborted, so that closing a half-open connection never hangs.
- `Channel.send`: aiormq marshals by objects and waits for the socket once per message, under a lock.
- `Channel` confirms and returns: aiormq finds the message of a return by its id alone, so of two unconfirmed
  messages with one id (a retry) the first would be taken for confirmed although it was returned.
- `Channel` deliveries: aiormq starts a task per message.

The overridden names are not public: tests/integration/bus notices if an upgrade moves them.
"""

import asyncio
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import aiormq
from aiormq.abc import ChannelFrame
from aiormq.connection import TCPTransportFactory, TLSTransportFactory, TransportFactory
from pamqp import commands as spec
from pamqp.header import ContentHeader
from yarl import URL

from shared.bus.confirms import Confirms
from shared.bus.frames import encode_acks, encode_publish
from shared.bus.messages import Message

_CLOSE_SECONDS = 2.0


class _Tap(TransportFactory):
    """Makes the connection's transport and keeps hold of it."""

    def __init__(self) -> None:
        self.writer: asyncio.StreamWriter | None = None

    async def create(self, url: URL, **kwargs: Any) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        factory = TLSTransportFactory() if url.scheme == "amqps" else TCPTransportFactory()
        reader, self.writer = await factory.create(url, **kwargs)
        return reader, self.writer


class Connection(aiormq.Connection):
    """One connection. `on_blocked(reason)` is called when the broker blocks it, with None when it goes on."""

    # (heartbeat + 1 s) * 2: the broker sends one every half heartbeat, so three or more were missed.
    HEARTBEAT_GRACE_MULTIPLIER = 2

    def __init__(self, url: str, *, name: str, heartbeat_seconds: int, on_blocked: Callable[[str | None], None]):
        self._tap = _Tap()
        self._on_blocked = on_blocked
        address = URL(url).update_query(name=name, heartbeat=str(heartbeat_seconds))
        super().__init__(address, transport_factory=self._tap)

    @property
    def writer(self) -> asyncio.StreamWriter:
        """The socket's writer. Whole frames only; frames of the client library come between ours."""
        if self._tap.writer is None:
            raise ConnectionError("not connected")
        return self._tap.writer

    def abort(self) -> None:
        """Drop the connection at once, unsent bytes too."""
        if self._tap.writer is not None:
            self._tap.writer.transport.abort()

    async def shut(self) -> None:
        """Close politely if that takes no longer than two seconds, else abort. Never raises."""
        closing = asyncio.ensure_future(self.close())
        try:
            await asyncio.wait({closing}, timeout=_CLOSE_SECONDS)
        finally:
            self.abort()
            closing.cancel()
        await asyncio.wait({closing}, timeout=_CLOSE_SECONDS)

    async def _Connection__handle_connection_blocked(self, frame: spec.Connection.Blocked) -> None:  # noqa: N802
        self._on_blocked(frame.reason or "no reason given")

    async def _Connection__handle_connection_unblocked(self, _: spec.Connection.Unblocked) -> None:  # noqa: N802
        self._on_blocked(None)


class Channel(aiormq.Channel):
    """One channel: plain methods as in aiormq; `send` with `confirms`; `on_delivery` for a consumer's messages."""

    on_delivery: Callable[[spec.Basic.Deliver, spec.Basic.Properties, bytes], None]

    def __init__(self, connection: Connection, number: int, *, confirms: Confirms | None, frame_buffer: int) -> None:
        super().__init__(connection, number, publisher_confirms=confirms is not None, frame_buffer=frame_buffer)
        self._wire = connection
        self._confirms = Confirms() if confirms is None else confirms
        self._unsent: list[bytes] = []
        self._something_unsent = asyncio.Event()
        self.cancelled = asyncio.Event()
        self.on_consumer_cancel_callbacks.add(lambda _frame: self.cancelled.set())

    @classmethod
    async def opened(
        cls, connection: Connection, *, confirms: Confirms | None = None, frame_buffer: int = 100
    ) -> "Channel":
        """Return an open channel, in confirm mode where `confirms` is given.

        `frame_buffer` bounds what is read ahead of its handling: a message is two to three frames.
        """
        number = next(number for number in range(1, 65536) if number not in connection.channels)
        channel = cls(connection, number, confirms=confirms, frame_buffer=frame_buffer)
        connection.channels[number] = channel
        await channel.open()
        return channel

    def send(self, messages: Sequence[Message], outcome: asyncio.Future[None]) -> None:
        """Queue `messages` for `flush_forever`; `outcome` ends when all are confirmed, or any is not."""
        frame_max = self._wire.connection_tune.frame_max
        # Encoded before anything is counted: a message that can't be encoded must not take a sequence number.
        frames = [encode_publish(self.number, message, frame_max) for message in messages]
        self._confirms.add(messages, outcome)
        self._unsent += frames
        self._something_unsent.set()

    async def flush_forever(self) -> None:
        """Write what `send` queued: once per turn of the loop, as fast as the socket takes it."""
        writer = self._wire.writer
        while True:
            await self._something_unsent.wait()
            self._something_unsent.clear()
            unsent, self._unsent = self._unsent, []
            writer.write(b"".join(unsent))
            await writer.drain()

    async def ack(self, acks: Iterable[tuple[int, bool]]) -> None:
        """Acknowledge (tag, multiple) pairs in one write."""
        payload = encode_acks(self.number, acks)
        if payload:
            await self.write_queue.put(ChannelFrame(payload=payload, should_close=False))

    async def _on_confirm_frame(self, frame: Any) -> None:
        taken = isinstance(frame, spec.Basic.Ack)
        self._confirms.settle(frame.delivery_tag or 0, multiple=bool(frame.multiple), taken=taken)

    async def _on_return_frame(self, frame: spec.Basic.Return) -> None:
        message = await self._read_content(frame, await self._header())
        message_id = message.header.properties.message_id or ""
        self._confirms.returned(frame.exchange or "", frame.routing_key or "", message_id)

    async def _on_deliver_frame(self, frame: spec.Basic.Deliver) -> None:
        header = await self._header()
        message = await self._read_content(frame, header)
        self.on_delivery(frame, header.properties, message.body)

    async def _header(self) -> ContentHeader:
        header = await self._get_frame()
        if not isinstance(header, ContentHeader):
            raise aiormq.exceptions.InvalidFrameError(header)
        return header
