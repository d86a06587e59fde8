"""The composed system on one machine: broker, database, services and edge under one supervisor."""

from __future__ import annotations

import http.client
import json
import os
import shutil
import signal
import subprocess
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import urlsplit

from callbus.local import locks, ports, processes
from callbus.local.files import write_private
from callbus.local.parts import CHECKOUT, Parts
from callbus.local.postgres import PostgresNode
from callbus.local.processes import Command, NotReady
from callbus.local.rabbitmq import RabbitMQNode
from callbus.local.supervisor import Program, State, Supervisor, programs_lock
from callbus.local.surroundings import DATABASE, Surroundings, basics

SERVICE_SECONDS = 90.0
Node = TypeVar("Node")
LEFTOVER_SECONDS = 120.0  # a run whose launcher was killed ends by itself, its broker taking the longest


class AlreadyRunning(Exception):
    """Another process runs the system of this directory."""


class PortTaken(Exception):
    """The port asked for is in use."""


class System:
    """Everything that `make run` starts, kept in `directory`; a later start finds its data and has the same ports.

    `port` is the edge's; when None it is the last run's, else `preferred_port`, else any free one. `amqp_url` and
    `postgres_dsn` (an administrator's) name existing servers to use instead of private ones. `replicas` says how many
    processes a service has, if not one: the further ones are the programs `history-2`, `history-3`, and so on.
    """

    def __init__(
        self,
        directory: Path,
        port: int | None = None,
        preferred_port: int | None = None,
        amqp_url: str | None = None,
        postgres_dsn: str | None = None,
        replicas: Mapping[str, int] | None = None,
        parts: Parts | None = None,
    ) -> None:
        self.directory = directory.absolute()
        self.parts = parts or Parts()
        counts = {name: (replicas or {}).get(name, 1) for name in self.parts.services}
        self.surroundings = Surroundings(self.directory, counts, port, preferred_port)
        self.rabbitmq = None if amqp_url else RabbitMQNode(self.directory / "rabbitmq")
        self.postgres = None if postgres_dsn else PostgresNode(self.directory / "postgres")
        self.demo: dict[str, Any] = {}
        self._port = port
        self._amqp_url = amqp_url
        self._postgres_dsn = postgres_dsn
        self._supervisor = Supervisor(self.directory)
        self._lock: int | None = None

    # -- addresses -------------------------------------------------------------------------------------------------

    @property
    def base_url(self) -> str:
        return self.surroundings.base_url

    @property
    def amqp_url(self) -> str:
        return self._amqp_url or self._private(self.rabbitmq).amqp_url()

    @property
    def postgres_dsn(self) -> str:
        """The administrator's."""
        return self._postgres_dsn or self._private(self.postgres).dsn(DATABASE)

    @property
    def environment(self) -> dict[str, str]:
        """The CALLBUS_* variables of the command line; also in the file `env`, to be sourced by a shell."""
        return self.surroundings.administrator(self.amqp_url, self.postgres_dsn)

    # -- life ------------------------------------------------------------------------------------------------------

    def start(self) -> None:
        """Start everything, in order, and return when calls can be taken.

        Raises AlreadyRunning, PortTaken, or NotReady saying what did not come up and where its log is; nothing is left
        running then.
        """
        self.directory.mkdir(parents=True, exist_ok=True)
        self._lock = self._take_lock()
        try:
            self._start(self._lock)
        except BaseException:
            self.stop()
            raise

    def stop(self) -> None:
        """Stop everything: the edge first, then the services, the broker and the database, the port mapper last."""
        self._supervisor.stop()
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None

    def restart(self, name: str) -> None:
        """Stop one program, start it again and wait until it is ready."""
        self._supervisor.stop_program(name)
        self._bring_up(name)

    def stop_program(self, name: str) -> None:
        """Stop one program until `restart`."""
        self._supervisor.stop_program(name)

    def kill(self, name: str) -> None:
        """SIGKILL one program with all its processes, as a crash would; the supervisor starts it again."""
        if pid := self._supervisor.pid(name):
            processes.kill_tree(pid)

    def log(self, name: str) -> str:
        """Return what one program has written."""
        return self.log_file(name).read_text(errors="replace")

    def log_file(self, name: str) -> Path:
        return self.directory / "log" / f"{name}.log"

    def states(self) -> list[State]:
        return self._supervisor.states()

    def revive(self, name: str) -> None:
        """Start a program that the supervisor has given up."""
        self._supervisor.start_program(name)

    @property
    def running(self) -> bool:
        return self._supervisor.running

    def wait_ready(self, name: str, deadline_seconds: float = SERVICE_SECONDS) -> None:
        """Return when a program does its work; raise NotReady, naming it and its log."""
        end = time.monotonic() + deadline_seconds
        while not self._is_ready(name):
            state = next(state for state in self.states() if state.name == name)
            if state.word == "FATAL" or time.monotonic() > end:
                raise NotReady(f"{name} does not come up ({state.word}: {state.why}); its log is {self.log_file(name)}")
            time.sleep(0.1)

    # -- how -------------------------------------------------------------------------------------------------------

    def _start(self, lock: int) -> None:
        if self._port is not None and not ports.is_free(self._port):
            raise PortTaken(f"port {self._port} is in use on 127.0.0.1")
        if not urlsplit(self._postgres_dsn or "/any").path.strip("/"):
            raise NotReady("CALLBUS_POSTGRES_DSN names no database, after which the services' roles are called")
        ports.refresh(self.directory / "ports.json")
        self.surroundings.prepare()
        for node in (self.rabbitmq, self.postgres):
            if node is not None:
                node.prepare()
        self._supervisor.start(self._programs(), keep_open=lock)
        servers = [name for name in ("epmd", "rabbitmq", "postgres") if self._has(name)]
        for name in servers:
            self._supervisor.start_program(name)
        for name in servers:
            self.wait_ready(name, 180)
        self._migrate()
        services = self.surroundings.programs()
        for name in services:
            self._supervisor.start_program(name)
        for name in services:
            self.wait_ready(name)
        self._bring_up("edge")
        self._provision()

    def _bring_up(self, name: str) -> None:
        self._supervisor.start_program(name)
        self.wait_ready(name)

    def _has(self, name: str) -> bool:
        return (self.postgres if name == "postgres" else self.rabbitmq) is not None

    def _programs(self) -> list[Program]:
        programs = []
        if self.rabbitmq is not None:
            programs.append(Program("epmd", self.rabbitmq.epmd_command(), rank=1, stop_signal=signal.SIGKILL))
            programs.append(Program("rabbitmq", self.rabbitmq.server_command(), rank=10, stop_seconds=60))
        if self.postgres is not None:
            command = self.postgres.server_command()
            programs.append(Program("postgres", command, rank=11, stop_signal=signal.SIGINT, stop_seconds=60))
        for name, service in self.surroundings.programs().items():
            environment = self.surroundings.service(name, self.amqp_url, self.postgres_dsn)
            programs.append(Program(name, Command(self.parts.services[service], environment, CHECKOUT), rank=50))
        caddyfile = str(CHECKOUT / "deploy" / "Caddyfile")
        argv = (shutil.which("caddy") or "caddy", "run", "--config", caddyfile, "--adapter", "caddyfile")
        programs.append(Program("edge", Command(argv, self.surroundings.edge(), self.directory), rank=90))
        return programs

    def _is_ready(self, name: str) -> bool:
        match name:
            case "epmd":
                return not ports.is_free(int(self._private(self.rabbitmq).epmd_command().argv[2]))
            case "rabbitmq":
                return self._private(self.rabbitmq).is_ready()
            case "postgres":
                return self._private(self.postgres).is_ready()
            case "edge":
                return _answers(self.surroundings.edge_port)
            case _:
                return _answers(self.surroundings.port(name))

    def _migrate(self) -> None:
        """Create the database the first time; bring schemas, roles and the broker's topology up to date."""
        if self.postgres is not None:
            databases = self.postgres.execute("SELECT datname FROM pg_database").splitlines()
            if DATABASE not in databases:
                self.postgres.execute(f"CREATE DATABASE {DATABASE}")
        log = self.log_file("migrate")
        with log.open("ab") as output:
            done = subprocess.run(
                self.parts.migrate,
                env=basics(self.directory) | self.environment,
                cwd=CHECKOUT,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                check=False,
            )
        if done.returncode != 0:
            raise NotReady(f"the migration failed with status {done.returncode}; its log is {log}")

    def _provision(self) -> None:
        services = {name: self.surroundings.url(name) for name in self.parts.services}
        self.demo = {
            **self.parts.provision(self.environment),
            "base_url": self.base_url,
            "services": services,
            "amqp_url": self.amqp_url,
            "postgres_dsn": self.postgres_dsn,
        }
        write_private(self.directory / "demo.json", json.dumps(self.demo, indent=1, ensure_ascii=False) + "\n")
        lines = (f"{name}={value!r}\n" for name, value in self.environment.items())
        write_private(self.directory / "env", "".join(lines))

    def _take_lock(self) -> int:
        """Return the lock of the only run in this directory; wait for one whose launcher is gone to end.

        The supervisor inherits the lock, so it is held until the last program has ended; should the supervisor be
        killed as well, its programs may still be ending, and hold a lock of their own.
        """
        descriptor = os.open(self.directory / "lock", os.O_RDWR | os.O_CREAT, 0o600)
        programs = programs_lock(self.directory)
        end = time.monotonic() + LEFTOVER_SECONDS
        while not (ours := locks.take(descriptor)) or not locks.is_free(programs):
            launcher = int(os.pread(descriptor, 20, 0) or b"0")
            if (not ours and processes.alive(launcher)) or time.monotonic() > end:
                os.close(descriptor)
                raise AlreadyRunning(f"already running in {self.directory} (process {launcher})")
            time.sleep(0.2)
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, str(os.getpid()).encode(), 0)
        return descriptor

    @staticmethod
    def _private(node: Node | None) -> Node:
        if node is None:
            raise LookupError("this system uses a server of somebody else")
        return node


def _answers(port: int) -> bool:
    """Tell whether /readyz on a loopback port says yes."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
    try:
        connection.request("GET", "/readyz")
        return connection.getresponse().status == http.HTTPStatus.OK
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()
