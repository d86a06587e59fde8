"""The operators' APIs of running services, each on its own port."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Self

import aiohttp

from callbus.cli.environment import Environment
from shared.errors import CallbusError
from shared.http.admin import PREFIX, read_operator_token

_TIMEOUT_SECONDS = 60.0


class Unreachable(CallbusError):
    """A service does not answer, or can't do it now."""


class Refused(CallbusError):
    """A service answers that it will not do it, and why."""


class Operators:
    """Asks services in the operators' name."""

    def __init__(self, environment: Environment, session: aiohttp.ClientSession) -> None:
        self._environment = environment
        self._session = session

    @classmethod
    @asynccontextmanager
    async def of(cls, environment: Environment) -> AsyncIterator[Self]:
        """Yield a client. Raises `MissingSetting`, and `CallbusError` where the token's file holds none."""
        try:
            token = read_operator_token(Path(environment.get("CALLBUS_OPERATOR_TOKEN_FILE")))
        except ValueError as error:
            raise CallbusError(str(error)) from error
        headers = {"Authorization": f"Bearer {token}"}
        timeout = aiohttp.ClientTimeout(total=_TIMEOUT_SECONDS)
        async with aiohttp.ClientSession(headers=headers, timeout=timeout) as session:
            yield cls(environment, session)

    async def get(self, service: str, path: str, **parameters: object) -> dict[str, Any]:
        """Return what `service` answers at /api/v1/admin`path`; parameters that are None are left out."""
        given = {name: str(value) for name, value in parameters.items() if value is not None}
        return await self._ask(service, "GET", path, params=given)

    async def post(self, service: str, path: str, body: Mapping[str, Any]) -> dict[str, Any]:
        """Return what `service` answers. Like `get` raises `MissingSetting`, `Unreachable` and `Refused`."""
        return await self._ask(service, "POST", path, json=dict(body))

    async def pages(self, service: str, path: str, **parameters: object) -> AsyncIterator[list[dict[str, Any]]]:
        """Yield a list's items, page by page."""
        cursor = None
        while True:
            answer = await self.get(service, path, cursor=cursor, **parameters)
            yield answer["items"]
            cursor = answer["next"]
            if cursor is None:
                return

    async def _ask(self, service: str, method: str, path: str, **request: Any) -> dict[str, Any]:
        base = self._environment.get(f"CALLBUS_{service.upper()}_URL").rstrip("/")
        try:
            async with self._session.request(method, f"{base}{PREFIX}{path}", **request) as answer:
                body = await answer.json(content_type=None)
        except (aiohttp.ClientError, TimeoutError, OSError, ValueError) as error:
            raise Unreachable(f"{service} does not answer at {base}: {str(error) or type(error).__name__}") from error
        if answer.status == 200 and isinstance(body, dict):
            return body
        why = f"{service} answers {answer.status}: {_detail(body)}"
        raise Refused(why) if 400 <= answer.status < 500 and answer.status not in (401, 429) else Unreachable(why)


def _detail(body: object) -> str:
    """Return what is wrong, as a problem's body tells it."""
    if not isinstance(body, dict):
        return "nothing more"
    errors = [f"{error.get('field')} {error.get('detail')}" for error in body.get("errors", ())]
    return "; ".join(filter(None, [str(body.get("detail", body.get("title", ""))), *errors]))
