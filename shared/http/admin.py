"""The operators' API, `/api/v1/admin/…`: on each service's own port, never on the edge.

Here: who may use it, and dead letters, which every consumer has. Asked with `Authorization: Bearer <operator token>`;
the token is in a file, read once at start.
"""

import hmac
from collections.abc import Awaitable, Callable
from functools import partial
from pathlib import Path
from typing import Any, Final

import orjson
from aiohttp import web
from aiohttp.typedefs import Handler
from aiormq.exceptions import AMQPError

from shared.bus.dead import DeadLetters, NoDeadQueue
from shared.http.auth import bearer
from shared.http.body import read_body
from shared.http.problems import FieldError, Problem, unauthorized, unavailable

PREFIX: Final = "/api/v1/admin"

_SHORTEST_TOKEN: Final = 16
_MOST_LISTED: Final = 500


def read_operator_token(path: Path) -> str:
    """Return the token that `path` holds. Raises `ValueError` where it is too short to be a secret."""
    token = path.read_text(encoding="ascii").strip()
    if len(token) < _SHORTEST_TOKEN:
        raise ValueError(f"the operators' token in {path} has fewer than {_SHORTEST_TOKEN} characters")
    return token


def for_operators(token: str, handler: Handler) -> Handler:
    """Return `handler` behind the operators' token."""

    async def guarded(request: web.Request) -> web.StreamResponse:
        given = bearer(request) or ""
        if not hmac.compare_digest(given.encode("utf-8", "surrogateescape"), token.encode()):
            raise unauthorized("the operators' token is needed")
        return await handler(request)

    return guarded


def add_dead_letters(app: web.Application, token: str, letters: DeadLetters) -> None:
    """Add the routes over `<service>.dead`: list, show, replay, drop."""

    def add(method: str, path: str, handler: Callable[[DeadLetters, web.Request], Awaitable[web.Response]]) -> None:
        app.router.add_route(method, f"{PREFIX}/dead{path}", for_operators(token, partial(_answered, handler, letters)))

    add("GET", "", _list)
    add("POST", "/replay", _replay)
    add("POST", "/drop", _drop)
    add("GET", "/{message_id}", _show)


async def _answered(
    handler: Callable[[DeadLetters, web.Request], Awaitable[web.Response]], letters: DeadLetters, request: web.Request
) -> web.Response:
    try:
        return await handler(letters, request)
    except NoDeadQueue as error:
        raise Problem(404, detail=str(error), code="no_dead_queue") from error
    except (AMQPError, OSError, TimeoutError) as error:
        raise unavailable("the broker can't be reached") from error


async def _list(letters: DeadLetters, request: web.Request) -> web.Response:
    """The oldest `?limit=` (100), oldest first, without bodies."""
    text = request.query.get("limit", "100")
    if not text.isdecimal() or len(text) > len(str(_MOST_LISTED)) or not 1 <= int(text) <= _MOST_LISTED:
        raise Problem(422, errors=[FieldError("limit", f"is a number from 1 to {_MOST_LISTED}")])
    found = await letters.list(int(text))
    return _json({"items": [letter._asdict() for letter in found]})


async def _show(letters: DeadLetters, request: web.Request) -> web.Response:
    letter = await letters.show(request.match_info["message_id"])
    if letter is None:
        raise Problem(404, detail="no dead letter has this message id")
    return _json(letter._asdict())


async def _replay(letters: DeadLetters, request: web.Request) -> web.Response:
    return _json({"replayed": await letters.replay(await _chosen(request))})


async def _drop(letters: DeadLetters, request: web.Request) -> web.Response:
    return _json({"dropped": await letters.drop(await _chosen(request))})


async def _chosen(request: web.Request) -> list[str] | None:
    """Read `{"message_ids": [...]}`, or None for `{"all": true}`: "all" is never what nothing means."""
    try:
        body: Any = orjson.loads(await read_body(request))
    except orjson.JSONDecodeError:
        raise Problem(400, detail="the body is no JSON") from None
    if isinstance(body, dict) and body.get("all") is True and "message_ids" not in body:
        return None
    chosen = body.get("message_ids") if isinstance(body, dict) else None
    if not isinstance(chosen, list) or not chosen or not all(isinstance(each, str) for each in chosen):
        raise Problem(422, errors=[FieldError("message_ids", 'is a list of ids; or send {"all": true}')])
    return chosen


def _json(value: object) -> web.Response:
    return web.Response(body=orjson.dumps(value, default=str), content_type="application/json")
