"""The private nodes of the local run, with what only tests need."""

from __future__ import annotations

import base64
import json
import shutil
import tempfile
import urllib.request
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import quote

from callbus.local.postgres import PostgresNode
from callbus.local.rabbitmq import USER, RabbitMQNode


@contextmanager
def temporary_directory() -> Iterator[Path]:
    """A new directory with a short path, removed afterwards."""
    directory = Path(tempfile.mkdtemp(prefix="callbus-"))
    try:
        yield directory
    finally:
        shutil.rmtree(directory, ignore_errors=True)


class RabbitMQ(RabbitMQNode):
    """A RabbitMQ node with the management HTTP API. All methods block; the quick ones take milliseconds."""

    def __init__(self, directory: Path) -> None:
        super().__init__(directory, management=True)

    def is_ready(self) -> bool:
        if not super().is_ready():
            return False
        try:
            self.api("GET", "/vhosts")
        except OSError:
            return False
        return True

    def new_vhost(self) -> str:
        """Create a virtual host and return its name (see `amqp_url`)."""
        vhost = f"test-{uuid.uuid4().hex[:12]}"
        self.add_vhost(vhost)
        return vhost

    def add_vhost(self, vhost: str) -> None:
        """Create an empty virtual host."""
        self.api("PUT", f"/vhosts/{vhost}", {})
        self.api("PUT", f"/permissions/{vhost}/{USER}", {"configure": ".*", "write": ".*", "read": ".*"})

    def delete_vhost(self, vhost: str) -> None:
        """Delete a virtual host with all that is in it; its connections are closed by the broker."""
        self.api("DELETE", f"/vhosts/{quote(vhost, safe='')}")

    def put_policy(self, vhost: str, name: str, pattern: str, definition: dict[str, Any]) -> None:
        """Set a policy on the queues whose name matches the regular expression `pattern`."""
        body = {"pattern": pattern, "definition": definition, "apply-to": "queues"}
        self.api("PUT", f"/policies/{quote(vhost, safe='')}/{quote(name, safe='')}", body)

    def set_memory_alarm(self, on: bool) -> None:
        """Make the broker block (or unblock) every connection that publishes. Takes half a second."""
        self.ctl("set_vm_memory_high_watermark", "absolute", "1" if on else "1073741824")

    def connection_names(self, vhost: str) -> list[str]:
        """Return the names of the connections to one virtual host."""
        return [
            str(connection["name"]) for connection in self.api("GET", f"/vhosts/{quote(vhost, safe='')}/connections")
        ]

    def close_connections(self, vhost: str) -> int:
        """Make the broker close every connection to one virtual host; return how many there were.

        A connection shows up here a few seconds after it was opened (statistics are sampled).
        """
        names = self.connection_names(vhost)
        for name in names:
            self.api("DELETE", f"/connections/{quote(name, safe='')}")
        return len(names)

    def api(self, method: str, path: str, body: object = None) -> Any:
        """Call the management API; return the decoded answer or None. Raises urllib.error.HTTPError."""
        credentials = base64.b64encode(f"{USER}:{self.password}".encode()).decode()
        request = urllib.request.Request(
            self.management_url + path,
            method=method,
            data=None if body is None else json.dumps(body).encode(),
            headers={
                "Authorization": f"Basic {credentials}",
                "Content-Type": "application/json",
            },
        )
        direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        with direct.open(request, timeout=30) as answer:
            text = answer.read()
        return json.loads(text) if text else None


class Postgres(PostgresNode):
    """A PostgreSQL server with fresh databases on demand. All methods block, for a fraction of a second."""

    def new_database(self) -> str:
        """Create an empty database and return its name (see `dsn`)."""
        database = f"test_{uuid.uuid4().hex[:12]}"
        self.execute(f"CREATE DATABASE {database}")
        return database

    def drop_database(self, database: str) -> None:
        """Drop a database, whoever is connected, and the roles named `<database>_…` that belong to it."""
        self.execute(
            f"DROP DATABASE IF EXISTS {database} WITH (FORCE);\n"
            rf"SELECT format('DROP ROLE %I', rolname) FROM pg_roles WHERE starts_with(rolname, '{database}_') \gexec"
        )


@contextmanager
def running_rabbitmq() -> Iterator[RabbitMQ]:
    """A node in a temporary directory; at the end it is killed, for its data goes with it."""
    with temporary_directory() as directory:
        node = RabbitMQ(directory)
        try:
            node.start()
            yield node
        finally:
            node.kill()
            node.stop()


@contextmanager
def running_postgres() -> Iterator[Postgres]:
    """A server in a temporary directory, stopped at the end."""
    with temporary_directory() as directory:
        node = Postgres(directory)
        try:
            node.start()
            yield node
        finally:
            node.stop()
