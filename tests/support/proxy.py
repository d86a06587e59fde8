"""A TCP proxy that fails as networks do: cut, silent (half-open), or no longer reading."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from types import TracebackType
from typing import Self
from urllib.parse import urlsplit, urlunsplit

_CHUNK = 65536


class Proxy:
    """Forwards connections on a free local port to the host and port of `url`; see its methods for the faults."""

    def __init__(self, url: str) -> None:
        self._target = urlsplit(url)
        self._server: asyncio.Server | None = None
        self._writers: set[asyncio.StreamWriter] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        self._forwarding = asyncio.Event()
        self._forwarding.set()
        self._reading = asyncio.Event()
        self._reading.set()
        self.accepted = 0
        self.received = 0  # bytes from clients

    @property
    def url(self) -> str:
        """The URL given, with the proxy's address."""
        assert self._server is not None
        port = self._server.sockets[0].getsockname()[1]
        credentials, at, _ = self._target.netloc.rpartition("@")
        return urlunsplit(self._target._replace(netloc=f"{credentials}{at}127.0.0.1:{port}"))

    def cut(self) -> None:
        """Reset every connection. New ones are accepted."""
        for writer in list(self._writers):
            writer.transport.abort()

    def swallow(self) -> None:
        """Go on reading from both sides, forward nothing, not even an end: a half-open connection."""
        self._forwarding.clear()

    def stall(self) -> None:
        """Stop reading from both sides: the senders' sockets fill up."""
        self._reading.clear()

    def heal(self) -> None:
        """Forward again. What was swallowed is gone, so connections of that time are of no use."""
        self._forwarding.set()
        self._reading.set()

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._accept, "127.0.0.1", 0)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self._server is not None
        self._server.close()
        self.cut()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.accepted += 1
        self._writers.add(writer)
        host, port = self._target.hostname, self._target.port
        try:
            broker_reader, broker_writer = await asyncio.open_connection(host, port)
        except OSError:
            writer.transport.abort()
            return
        self._writers.add(broker_writer)
        for pump in (self._pump(reader, broker_writer, count=True), self._pump(broker_reader, writer, count=False)):
            task = asyncio.create_task(pump)
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def _pump(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, *, count: bool) -> None:
        with suppress(OSError):
            while True:
                await self._reading.wait()
                data = await reader.read(_CHUNK)
                if not data:
                    break
                await self._reading.wait()  # what was read just as the stall began stays here too
                if count:
                    self.received += len(data)
                if self._forwarding.is_set():
                    writer.write(data)
                    await writer.drain()
        await self._forwarding.wait()
        writer.transport.abort()
        self._writers.discard(writer)
