"""A lean HTTP/1.1 client: n connections kept alive, each sends its next request when the last is answered.

It shares the machine with what it measures, so it does as little as it can: requests are ready-made bytes, and of an
answer it reads the status line and the length.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from time import perf_counter
from typing import cast


@dataclass(slots=True)
class Round:
    """What one round of load gave; `seconds` are latencies, `lasted_seconds` the whole."""

    lasted_seconds: float = 0.0
    seconds: list[float] = field(default_factory=list)
    refused: int = 0

    @property
    def rate(self) -> float:
        """Requests answered 2xx per second."""
        return len(self.seconds) / self.lasted_seconds


class _Line(asyncio.Protocol):
    """One connection."""

    def __init__(self, requests: Iterator[bytes], result: Round, stopping: Callable[[], bool]) -> None:
        self.done = asyncio.get_running_loop().create_future()
        self._requests = requests
        self._result = result
        self._stopping = stopping
        self._buffer = b""
        self._sent_at = 0.0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        self._send()

    def data_received(self, data: bytes) -> None:
        self._buffer = self._buffer + data if self._buffer else data
        end = _end_of_answer(self._buffer)
        if end is None:
            return
        if self._buffer.startswith(b"HTTP/1.1 2"):
            self._result.seconds.append(perf_counter() - self._sent_at)
        else:
            self._result.refused += 1
        self._buffer = self._buffer[end:]
        if self._stopping():
            self._transport.close()
        else:
            self._send()

    def connection_lost(self, error: Exception | None) -> None:
        if self.done.done():
            return
        if error is None and self._stopping():
            self.done.set_result(None)
        else:
            self.done.set_exception(error or ConnectionError("the server closed the connection"))

    def _send(self) -> None:
        self._sent_at = perf_counter()
        self._transport.write(next(self._requests))


def _end_of_answer(buffer: bytes) -> int | None:
    """Return where the answer at the start of `buffer` ends; None while some of it is missing."""
    head = buffer.find(b"\r\n\r\n")
    if head < 0:
        return None
    at = buffer[:head].lower().find(b"content-length:")
    if at < 0:
        raise ValueError(f"an answer without a length: {buffer[:200]!r}")
    length = int(buffer[at + 15 : head].partition(b"\r\n")[0])
    end = head + 4 + length
    return end if len(buffer) >= end else None


async def load(port: int, requests: Iterator[bytes], *, connections: int, seconds: float) -> Round:
    """Post `requests` for some seconds. Raises `ConnectionError` when the server closes a connection."""
    loop = asyncio.get_running_loop()
    result = Round()
    started = perf_counter()
    until = started + seconds

    def stopping() -> bool:
        return perf_counter() >= until

    lines = [
        (await loop.create_connection(lambda: _Line(requests, result, stopping), "127.0.0.1", port))[1]
        for _ in range(connections)
    ]
    await asyncio.gather(*(line.done for line in lines))
    result.lasted_seconds = perf_counter() - started
    return result


def posts(path: str, bodies: Iterator[bytes], *, content_type: str) -> Iterator[bytes]:
    """Yield whole requests with these bodies."""
    head = (
        f"POST {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nUser-Agent: bench\r\n"
        f"Content-Type: {content_type}\r\nContent-Length: "
    ).encode()
    for body in bodies:
        yield b"%b%d\r\n\r\n%b" % (head, len(body), body)
