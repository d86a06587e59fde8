"""Serving an application: limits of the protocol, and a shutdown that finishes what was begun."""

import asyncio
import os
import re
import signal
import sys
from collections.abc import AsyncIterator, Coroutine
from contextlib import asynccontextmanager, suppress
from typing import Any, Final

import orjson
import structlog
import uvloop
from aiohttp import web
from aiohttp.web_protocol import RequestHandler, RequestPayloadError

from shared.http.app import REQUEST_ID_HEADER
from shared.http.envelopes import ENVELOPES, Envelope, Envelopes, problem_json
from shared.http.health import READINESS
from shared.http.problems import Problem
from shared.settings import HttpSettings

_REQUEST_LINE_BYTES = 512
_REQUEST_LINE = re.compile(rb"[A-Z]{1,20} (/[^\s?#]*)")
_LINGER_SECONDS = 2.0  # how long a refused body is still read, so that the sender gets to read its answer

log = structlog.get_logger()


class _Protocol(RequestHandler):
    """Answers what isn't even HTTP (or over the header limits) in JSON, and without quoting it in the log.

    The error body is that of the API whose path the request line names: our parser has given up before it had one.
    """

    __slots__ = ("_begun", "_refused")

    def __init__(self, *args: Any, **kw: Any) -> None:
        self._begun = self._refused = b""
        super().__init__(*args, **kw)

    def data_received(self, data: bytes) -> None:
        if not self._begun:
            self._begun = data[:_REQUEST_LINE_BYTES]
        count = self._request_count
        super().data_received(data)
        if self._request_count != count:  # a request was understood, or given up
            self._refused, self._begun = self._begun, b""

    def handle_error(
        self,
        request: web.BaseRequest,
        status: int = 500,
        exc: BaseException | None = None,
        message: str | None = None,
    ) -> web.StreamResponse:
        if isinstance(exc, ConnectionError) and (self.transport is None or request.writer.output_size > 0):
            log.debug("client_gone", remote=request.remote)
            raise exc
        identity = os.urandom(16).hex()
        log.info(
            "request_unreadable",
            status=status,
            error=type(exc).__name__,
            remote=request.remote,
            request_id=identity,
        )
        if request.writer.output_size > 0:
            raise ConnectionError("part of an answer has been sent already")
        detail = "this is not a request that we can read, or its headers are over the limits"
        value, content_type = self._envelope(request)(Problem(status, detail=detail), identity)
        headers = {REQUEST_ID_HEADER: identity}
        response = web.Response(body=orjson.dumps(value), status=status, content_type=content_type, headers=headers)
        response.force_close()
        return response

    def _envelope(self, request: web.BaseRequest) -> Envelope:
        named = _REQUEST_LINE.match(self._refused) if request.method == "UNKNOWN" else None
        path = named[1].decode("latin-1") if named else request.path
        return self._manager.envelopes.of(path) if isinstance(self._manager, _Server) else problem_json

    def log_exception(self, *args: Any, **kw: Any) -> None:
        if isinstance(sys.exception(), RequestPayloadError):
            return  # the rest of a body that is not as declared: its sender has been told
        super().log_exception(*args, **kw)


class _Server(web.Server):
    envelopes: Envelopes

    def __call__(self) -> RequestHandler:
        return _Protocol(self, loop=self._loop, **self._kwargs)


class _Runner(web.AppRunner):
    async def _make_server(self) -> web.Server:
        made = await super()._make_server()
        server = _Server(
            made.request_handler, request_factory=made.request_factory, loop=asyncio.get_running_loop(), **made._kwargs
        )
        server.envelopes = self.app[ENVELOPES]
        return server


@asynccontextmanager
async def serving(app: web.Application, settings: HttpSettings) -> AsyncIterator[int]:
    """Serve `app` inside the block and yield its port.

    On leaving: unready, no new connections, requests in flight finish (for `shutdown_seconds` at most), then what the
    application opened is closed.
    """
    runner = _Runner(
        app,
        access_log=None,
        keepalive_timeout=settings.keepalive_seconds,
        shutdown_timeout=settings.shutdown_seconds,
        lingering_time=_LINGER_SECONDS,
        auto_decompress=False,  # read_body does
        max_line_size=settings.header_limit_bytes,
        max_field_size=settings.header_limit_bytes,
        max_headers=settings.header_limit_count,
    )
    try:
        await runner.setup()
        site = web.TCPSite(runner, settings.listen_host, settings.listen_port, backlog=1024)
        await site.start()
        port: int = runner.addresses[0][1]
        log.info("service_started", host=settings.listen_host, port=port)
        yield port
    finally:
        app[READINESS].drain()
        await runner.cleanup()
        log.info("service_stopped")


STOP: Final = web.AppKey("STOP", asyncio.Event)
_FAILED: Final = web.AppKey("FAILED", list[str])


def run_in_background(app: web.Application, name: str, work: Coroutine[Any, Any, Any]) -> asyncio.Task[Any]:
    """Start what the service can't do without (its broker connection, its directory reader) and watch it.

    Such work never ends by itself. If it does, with an error or without, the process shuts down in order and exits
    with 1: a supervisor that starts it afresh is better than a service that only looks alive. The caller cancels the
    task in its cleanup.
    """
    task = asyncio.create_task(work, name=name)

    def ended(done: asyncio.Task[Any]) -> None:
        if done.cancelled():
            return
        log.error("background_work_ended", work=name, exc_info=done.exception())
        if STOP in app:
            app[_FAILED].append(name)
            app[STOP].set()

    task.add_done_callback(ended)
    return task


async def cancel(task: asyncio.Task[Any]) -> None:
    """Cancel `task` and wait until it has ended, whatever it ends with."""
    task.cancel()
    with suppress(asyncio.CancelledError, Exception):
        await task


def run_app(app: web.Application, settings: HttpSettings, *, use_uvloop: bool = True) -> int:
    """Serve `app` until SIGTERM or SIGINT; return the exit code: 0, or 1 where background work failed."""
    with asyncio.Runner(loop_factory=uvloop.new_event_loop if use_uvloop else None) as runner:
        return runner.run(_serve_until_stopped(app, settings))


async def _serve_until_stopped(app: web.Application, settings: HttpSettings) -> int:
    app[STOP] = stop = asyncio.Event()
    app[_FAILED] = []
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    async with serving(app, settings):
        await stop.wait()
    return 1 if app[_FAILED] else 0
