"""Liveness, readiness with a reason per dependency, and metrics."""

from collections.abc import Callable
from typing import Final, NamedTuple

import orjson
from aiohttp import web

from shared import metrics


class Check(NamedTuple):
    """What one dependency says of itself."""

    ok: bool
    reason: str


class Readiness:
    """Named checks; ready when all are and the process isn't shutting down.

    A check answers at once from what is known (a flag, an age): it asks nobody.
    """

    def __init__(self) -> None:
        self._checks: dict[str, Callable[[], tuple[bool, str]]] = {}
        self._draining = False

    def add(self, name: str, check: Callable[[], tuple[bool, str]]) -> None:
        """Add the check of one dependency, answering (ok, reason)."""
        self._checks[name] = check

    def drain(self) -> None:
        """Be unready from here on: the process is shutting down."""
        self._draining = True

    @property
    def draining(self) -> bool:
        """Whether the process is shutting down."""
        return self._draining

    def results(self) -> dict[str, Check]:
        """Return every check's answer by name, `shutdown` first where it applies."""
        results = {"shutdown": Check(False, "shutting down")} if self._draining else {}
        for name, check in self._checks.items():
            try:
                results[name] = Check(*check())
            except Exception as error:  # a check that fails is an answer: not ready
                results[name] = Check(False, f"the check itself failed: {type(error).__name__}")
        return results


READINESS: Final = web.AppKey("READINESS", Readiness)


async def healthz(_request: web.Request) -> web.Response:
    """200 while the event loop turns."""
    return web.json_response({"alive": True})


async def readyz(request: web.Request) -> web.Response:
    """200 or 503 with `{"ready", "checks": {name: {"ok", "reason"}}}`."""
    results = request.app[READINESS].results()
    ready = all(check.ok for check in results.values())
    body = {"ready": ready, "checks": {name: check._asdict() for name, check in results.items()}}
    return web.Response(body=orjson.dumps(body), status=200 if ready else 503, content_type="application/json")


async def metrics_text(_request: web.Request) -> web.Response:
    """Prometheus' text format."""
    return web.Response(body=metrics.exposition(), headers={"Content-Type": metrics.CONTENT_TYPE})
