"""The application every service starts from: one middleware, health, metrics and errors in each API's envelope.

One middleware and no more, because every request of every service passes it. It gives the request its id, times it,
turns whatever went wrong into the path's envelope, and logs. Requests that went well are counted, and logged at level
`debug` only: at a thousand a second a line each would cost more than the request.
"""

import os
import re
import time
from typing import Any, Final

import orjson
import structlog
from aiohttp import web
from aiohttp.typedefs import Handler
from prometheus_client import Histogram

from shared import logging
from shared.errors import Transient
from shared.http.body import SETTINGS
from shared.http.envelopes import ENVELOPES, Envelopes
from shared.http.health import READINESS, Readiness, healthz, metrics_text, readyz
from shared.http.problems import Problem, unavailable
from shared.metrics import HTTP_REQUEST_SECONDS
from shared.settings import HttpSettings

NAME: Final = web.AppKey("NAME", str)

REQUEST_ID_HEADER: Final = "X-Request-Id"
_REQUEST_ID: Final = web.RequestKey("REQUEST_ID", str)
_SANE_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{7,63}")
_LONG_SEGMENT = re.compile(r"[^/]{16,}")
_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
_UNMATCHED = "unmatched"

log = structlog.get_logger()


def create_app(name: str, settings: HttpSettings, *, readiness: Readiness) -> web.Application:
    """Return the application of service `name`, with its middleware and /healthz, /readyz and /metrics."""
    app = web.Application(middlewares=[_observe], client_max_size=settings.body_limit_bytes)
    app[NAME] = name
    app[SETTINGS] = settings
    app[READINESS] = readiness
    app[ENVELOPES] = Envelopes()
    app.on_response_prepare.append(_name_the_request)
    app.router.add_get("/healthz", healthz)
    app.router.add_get("/readyz", readyz)
    app.router.add_get("/metrics", metrics_text)
    return app


def request_id(request: web.Request) -> str:
    """Return the id of `request`: the sender's `X-Request-Id` if it is sane, else one of ours."""
    return request[_REQUEST_ID]


def _identify(request: web.Request) -> str:
    sent = request.headers.get(REQUEST_ID_HEADER)
    if sent is not None and _SANE_ID.fullmatch(sent):
        return sent
    return os.urandom(16).hex()


async def _name_the_request(request: web.Request, response: web.StreamResponse) -> None:
    # At this point rather than in the middleware, so that answers that stream by themselves carry it too.
    # What is refused before the middleware (an `Expect` that nobody can meet) has no id yet.
    response.headers[REQUEST_ID_HEADER] = request.get(_REQUEST_ID) or _identify(request)


@web.middleware
async def _observe(request: web.Request, handler: Handler) -> web.StreamResponse:
    started = time.perf_counter()
    identity = request[_REQUEST_ID] = _identify(request)
    logging.bind(request_id=identity)  # each request runs in a task of its own: nothing to unbind
    failure: BaseException | None = None
    try:
        response = await handler(request)
    except ConnectionError:
        raise  # the client has gone: there is nobody to answer
    except Exception as error:  # this is the one place that turns any failure into an answer
        failure = error
        response = _failed(request, error)
    status = response.status
    seconds = time.perf_counter() - started
    _histogram(request, status).observe(seconds)
    if status >= 400 or logging.enabled("debug"):
        _log_request(request, status, seconds, failure)
    if failure is not None and request.writer.output_size > 0:
        raise ConnectionAbortedError("part of another answer has been sent already") from failure
    return response


_children: dict[tuple[object, str, int], Histogram] = {}


def _histogram(request: web.Request, status: int) -> Histogram:
    """Return the metric's child of this route, method and status, looked up in prometheus once."""
    resource = request.match_info.route.resource
    key = (resource, request.method, status)
    child = _children.get(key)
    if child is None:
        method = request.method if request.method in _METHODS else "other"
        route = resource.canonical if resource is not None else _UNMATCHED
        child = HTTP_REQUEST_SECONDS.labels(method, route, str(status))
        if resource is not None and method != "other":  # only what is bounded is remembered
            _children[key] = child
    return child


def _failed(request: web.Request, error: Exception) -> web.Response:
    if isinstance(error, web.HTTPException) and error.status < 400:
        return web.Response(status=error.status, headers=error.headers)  # a redirect is an answer
    problem = _as_problem(error)
    return error_response(request, problem)


def _as_problem(error: Exception) -> Problem:
    if isinstance(error, Problem):
        return error
    if isinstance(error, Transient):
        return unavailable("try again later", error.retry_after_seconds)
    if isinstance(error, web.HTTPMethodNotAllowed):
        return Problem(405, detail="this path does not take that method", headers={"Allow": error.headers["Allow"]})
    if isinstance(error, web.HTTPNotFound):
        return Problem(404, detail="there is nothing at this path")
    if isinstance(error, web.HTTPException):
        return Problem(error.status, detail=error.reason)
    return Problem(500, detail="something went wrong on our side; the request id leads to it in our logs")


def error_response(request: web.Request, problem: Problem) -> web.Response:
    """Return `problem` in the envelope of the request's API."""
    envelope = request.app[ENVELOPES].of(request.path)
    value, content_type = envelope(problem, request_id(request))
    response = web.Response(
        body=_json(value), status=problem.status, content_type=content_type, headers=problem.headers
    )
    if problem.status == 408:  # the rest of that body would be read as the next request
        response.force_close()
    return response


def _json(value: Any) -> bytes:
    try:
        return orjson.dumps(value)
    except TypeError:  # a lone surrogate from the sender's own field name
        return orjson.dumps({"error": ascii(value)})


def _log_request(request: web.Request, status: int, seconds: float, failure: BaseException | None) -> None:
    unexpected = status >= 500 and not isinstance(failure, Problem | Transient | web.HTTPException | None)
    write = log.error if unexpected else log.warning if status >= 500 else log.info if status >= 400 else log.debug
    more: dict[str, Any] = {"exc_info": failure} if unexpected else {}
    if failure is not None and not unexpected:
        more["reason"] = str(failure)
    write(
        "request_failed" if status >= 400 else "request_handled",
        method=request.method,
        path=_path(request),
        query=_query(request),
        status=status,
        duration_ms=round(seconds * 1000, 3),
        remote=request.remote,
        **more,
    )


def _path(request: web.Request) -> str:
    path = logging.mask_text(request.rel_url.raw_path)
    if request.match_info.route.resource is None:  # perhaps a URL with a key in it, mistyped
        path = _LONG_SEGMENT.sub("***", path)
    return path


def _query(request: web.Request) -> dict[str, str]:
    # The names are the sender's, so none vouches for its value; those such as "api_token" are dropped by the logger.
    return {logging.mask_text(name): logging.mask_text(value) for name, value in request.query.items()}
