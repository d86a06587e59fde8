"""What the benchmark runs against: private nodes, one account with one channel, servers as processes of their own."""

from __future__ import annotations

import asyncio
import contextlib
import os
import secrets
import signal
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import aiormq
import structlog

from callbus.local import ports, processes
from callbus.local.postgres import PostgresNode
from callbus.local.processes import Command
from shared.bus.topology import TOPOLOGY
from shared.db import migrations
from shared.secrets import hash_token
from tests.bench.figures import cpu_seconds
from tests.support.nodes import RabbitMQ, temporary_directory

CHECKOUT: Final = Path(__file__).resolve().parents[2]
KEY: Final = "key_of_the_bench_channel"
DATABASE: Final = "callbus"
_ADMIN_SQL = """
INSERT INTO directory.accounts (account_id, name) VALUES (1, 'Bench');
INSERT INTO directory.channels (channel_id, account_id, provider, name, rate_per_second, rate_burst)
    VALUES (1, 1, 'supervoip', 'Bench', 1000000, 1000000);
INSERT INTO directory.channel_keys (account_id, channel_id, kind, key_hash, key_sealed)
    VALUES (1, 1, 'key', decode('{hash}', 'hex'), 'never shown');
"""


@dataclass(frozen=True)
class Server:
    """One running server process."""

    name: str
    port: int
    pid: int

    def cpu_seconds(self) -> float:
        return cpu_seconds(self.pid)


class Stack:
    """The nodes, and the servers started on them. All methods block but the asynchronous ones."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.rabbitmq = RabbitMQ(directory / "rabbitmq")
        self.postgres = PostgresNode(directory / "postgres")
        self._password = secrets.token_urlsafe(16)
        self._servers: list[int] = []

    @property
    def amqp_url(self) -> str:
        return self.rabbitmq.amqp_url()

    @property
    def admin_dsn(self) -> str:
        return self.postgres.dsn(DATABASE)

    def start(self) -> None:
        """Start the nodes, with schemas and the channel."""
        for part in (self.rabbitmq, self.postgres):
            part.directory.mkdir(exist_ok=True)
            part.start()
        self.postgres.execute(f"CREATE DATABASE {DATABASE}")
        services = migrations.all_services()
        asyncio.run(migrations.migrate(self.admin_dsn, services, dict.fromkeys(services, self._password)))
        self.postgres.execute(_ADMIN_SQL.format(hash=hash_token(KEY).hex()), DATABASE)

    def stop(self) -> None:
        """Kill servers and broker, whose data nobody needs; stop the database."""
        for pid in self._servers:
            with contextlib.suppress(OSError):
                processes.kill_tree(pid)
        self.rabbitmq.kill()
        self.rabbitmq.stop()
        self.postgres.stop()

    def serve(
        self,
        name: str,
        argv: Sequence[str],
        *,
        service: str = "ingest",
        ready: str = "/readyz",
        more: Mapping[str, str] | None = None,
    ) -> Server:
        """Start `python <argv>` with the environment of `service` and `more`; `{port}` in `argv` is its port."""
        port = ports.remembered(self.directory / "ports.json", [name])[name]
        data = self.directory / name
        data.mkdir()
        command = Command(
            (sys.executable, *(part.format(port=port) for part in argv)),
            {**self._environment(service, port, data), **(more or {})},
            CHECKOUT,
        )
        process = processes.start(command, self.log(name), orphaned=signal.SIGKILL)
        self._servers.append(process.pid)

        def up() -> bool:
            if process.poll() is not None:
                raise processes.NotReady(
                    f"{name} ended with {process.returncode}:\n{self.log(name).read_text()[-3000:]}"
                )
            return _answers(f"http://127.0.0.1:{port}{ready}")

        processes.wait_until(up, 60, f"{name} to be ready ({self.log(name)})", pause_seconds=0.2)
        return Server(name, port, process.pid)

    @property
    def journal(self) -> Path:
        """Where ingest writes what the broker does not take."""
        return self.directory / "journal"

    def set_memory_alarm(self, on: bool) -> None:
        """Make the broker block (or unblock) its publishers."""
        self.rabbitmq.set_memory_alarm(on)

    def is_ready(self, server: Server) -> bool:
        """Whether a server says that it is ready."""
        return _answers(f"http://127.0.0.1:{server.port}/readyz")

    def end(self, server: Server) -> None:
        """End one server as a shutdown would."""
        processes.send([server.pid], signal.SIGTERM)
        processes.wait_until(lambda: not processes.alive(server.pid), 30, f"{server.name} to end")

    def log(self, name: str) -> Path:
        return self.directory / f"{name}.log"

    def broker_cpu_seconds(self) -> float:
        return cpu_seconds(int((self.rabbitmq.directory / "pid").read_text()))

    def postgres_cpu_seconds(self) -> float:
        """CPU time of the server's processes that live now and of those that have ended."""
        return cpu_seconds(int((self.postgres.data / "postmaster.pid").read_text().split()[0]))

    async def purge(self) -> None:
        """Empty all queues."""
        connection = await aiormq.connect(self.amqp_url)
        try:
            channel = await connection.channel()
            for queue in TOPOLOGY.queues:
                await channel.queue_purge(queue.name)
        finally:
            await connection.close()

    def _environment(self, service: str, port: int, data: Path) -> dict[str, str]:
        dsn = f"postgresql://{DATABASE}_{service}:{self._password}@127.0.0.1:{self.postgres.port}/{DATABASE}"
        return {
            "PATH": os.environ["PATH"],
            "PYTHONPATH": os.environ.get("PYTHONPATH", ""),
            "HOME": str(data),
            "LANG": "C.UTF-8",
            "CALLBUS_AMQP_URL": self.amqp_url,
            "CALLBUS_POSTGRES_DSN": dsn,
            "CALLBUS_LISTEN_PORT": str(port),
            "CALLBUS_DATA_DIR": str(data),
            "CALLBUS_JOURNAL_DIR": str(self.journal),
            "CALLBUS_RECORDINGS_URL": (data / "recordings").as_uri(),
            "CALLBUS_LOG_LEVEL": "warning",
            # Waiting longer than usual for a confirm is measured, not refused.
            "CALLBUS_CONFIRM_SECONDS": "30",
        }


@contextlib.contextmanager
def running() -> Iterator[Stack]:
    """A stack in a temporary directory; nothing of it is left afterwards."""
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(30))
    with temporary_directory() as directory:
        stack = Stack(directory)
        try:
            stack.start()
            yield stack
        finally:
            stack.stop()


def _answers(url: str) -> bool:
    try:
        with urllib.request.urlopen(url, timeout=5) as answer:
            return bool(answer.status == 200)
    except (OSError, urllib.error.URLError):
        return False
