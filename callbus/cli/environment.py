"""The CALLBUS_* variables, from the environment or from the local run in the working directory."""

from __future__ import annotations

import shlex
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import NamedTuple, Self

import asyncpg

from services.routing.store import Store
from shared.secrets import Sealer

_SERVERS = ("CALLBUS_POSTGRES_DSN", "CALLBUS_AMQP_URL")


class MissingSetting(Exception):
    """A variable that the command needs is not set."""


class Environment(NamedTuple):
    """The variables, by name."""

    values: Mapping[str, str]

    @classmethod
    def read(cls, environment: Mapping[str, str], directory: Path) -> Self:
        """Those of `environment` and of the files in CALLBUS_SECRETS_DIR; `.run/env` only where no server is named.

        All or nothing: a production database must never meet the local run's master key.
        """
        given = {name: value for name, value in environment.items() if name.startswith("CALLBUS_") and value}
        given = _secrets(given) | given
        file = directory / ".run" / "env"
        if any(name in given for name in _SERVERS) or not file.is_file():
            return cls(given)
        return cls(_parse(file.read_text(encoding="utf-8")) | given)

    def get(self, name: str) -> str:
        """The value of `name`. Raises `MissingSetting`."""
        try:
            return self.values[name]
        except KeyError:
            named = any(server in self.values for server in _SERVERS)
            why = ".run/env is read only where no server is named" if named else "and there is no .run/env here"
            raise MissingSetting(f"{name} is not set ({why})") from None

    @property
    def base_url(self) -> str:
        """The public base URL."""
        return self.values.get("CALLBUS_BASE_URL", "http://127.0.0.1:8080")

    @asynccontextmanager
    async def store(self) -> AsyncIterator[Store]:
        """The directory's write side. Raises `MissingSetting`, `SealError` and what asyncpg raises."""
        sealer = Sealer.from_file(Path(self.get("CALLBUS_MASTER_KEY_FILE")))
        conn = await asyncpg.connect(
            self.get("CALLBUS_POSTGRES_DSN"),
            timeout=10,
            command_timeout=30,
            server_settings={"application_name": "callbus", "lock_timeout": "10000"},
        )
        try:
            yield Store(conn, sealer)
        finally:
            await conn.close(timeout=5)


def _secrets(given: Mapping[str, str]) -> dict[str, str]:
    """The servers' addresses, which containers are given as files called after the variables in lower case."""
    folder = given.get("CALLBUS_SECRETS_DIR")
    files = {name: Path(folder) / name.lower() for name in _SERVERS} if folder else {}
    return {name: file.read_text(encoding="utf-8").strip() for name, file in files.items() if file.is_file()}


def _parse(text: str) -> dict[str, str]:
    """Lines NAME=value, quoted as for a shell; comments and blank lines are passed over."""
    values = {}
    for line in text.splitlines():
        for word in shlex.split(line, comments=True):
            name, equals, value = word.removeprefix("export ").partition("=")
            if equals and name.startswith("CALLBUS_"):
                values[name] = value
    return values
