"""A private RabbitMQ node: own ports, cookie, name and port mapper (epmd), loopback only.

Debian's scripts in /usr/sbin switch to the user rabbitmq and the system's own node, so the ones of the package's
library directory are called instead, with every path and port given.
"""

from __future__ import annotations

import secrets
import signal
import socket
import subprocess
from pathlib import Path
from urllib.parse import quote

from callbus.local import ports, processes
from callbus.local.files import secret, write_private
from callbus.local.processes import Command, NotReady

SCRIPTS = Path("/usr/lib/rabbitmq/bin")
USER = "callbus"
VHOST = "callbus"
START_SECONDS = 120.0  # about 5 on a quiet machine
STOP_SECONDS = 60.0  # about 6 on a quiet machine


class RabbitMQNode:
    """A RabbitMQ node that keeps everything in `directory`.

    Use it directly (`start`, `stop`, `kill`, `wait_ready`) or hand `epmd_command()` and `server_command()` to a
    supervisor after `prepare()`. Data and ports survive both a stop and a kill.

    Beware when killing (seen with 3.10.8): a quorum queue that was declared less than a second or so before SIGKILL
    comes back without a leader, for ever: publishes are nacked and consuming hangs. Declare the topology some seconds
    before the kill, as a system that has been running would have. For about five seconds after a start the counts of
    quorum queues are reported as 0: assert by consuming, never by counting.
    """

    def __init__(self, directory: Path, management: bool = False) -> None:
        self.directory = directory.absolute()
        self.management = management
        self._epmd: subprocess.Popen[bytes] | None = None
        self._server: subprocess.Popen[bytes] | None = None

    # -- what it is ------------------------------------------------------------------------------------------------

    @property
    def port(self) -> int:
        """The AMQP port."""
        return self._port("amqp")

    @property
    def password(self) -> str:
        return secret(self.directory / "password", lambda: secrets.token_urlsafe(24))

    def amqp_url(self, vhost: str = VHOST) -> str:
        """Return the URL, with credentials, of a virtual host."""
        return f"amqp://{USER}:{self.password}@127.0.0.1:{self.port}/{quote(vhost, safe='')}"

    @property
    def management_url(self) -> str:
        """Base URL of the management HTTP API, without credentials (user `callbus`, `password`)."""
        return f"http://127.0.0.1:{self._port('management')}/api"

    @property
    def log(self) -> Path:
        return self.directory / "rabbitmq.log"

    # -- for a supervisor ------------------------------------------------------------------------------------------

    def prepare(self) -> None:
        """Write the configuration; ports that something else has taken since the last run are replaced."""
        for part in ("home", "mnesia", "log"):
            (self.directory / part).mkdir(parents=True, exist_ok=True)
        self.directory.chmod(0o700)
        ports.refresh(self.directory / "ports.json")
        cookie = self.directory / "home" / ".erlang.cookie"
        if not cookie.exists():
            write_private(cookie, secrets.token_hex(20))
            cookie.chmod(0o400)
        write_private(self.directory / "rabbitmq.conf", self._configuration())
        plugins = "rabbitmq_management" if self.management else ""
        (self.directory / "enabled_plugins").write_text(f"[{plugins}].\n")

    def epmd_command(self) -> Command:
        """Erlang's port mapper, which must run before the server and end after it."""
        argv = ("epmd", "-port", str(self._port("epmd")), "-address", "127.0.0.1")
        return Command(argv, self._environment(), self.directory)

    def server_command(self) -> Command:
        """The broker in the foreground; SIGTERM ends it cleanly."""
        return Command((str(SCRIPTS / "rabbitmq-server"),), self._environment(), self.directory)

    def is_ready(self) -> bool:
        """Tell whether the broker answers an AMQP 0-9-1 header with Connection.Start."""
        try:
            with socket.create_connection(("127.0.0.1", self.port), timeout=2) as connection:
                connection.sendall(b"AMQP\x00\x00\x09\x01")
                return connection.recv(1) == b"\x01"
        except OSError:
            return False

    # -- directly --------------------------------------------------------------------------------------------------

    def start(self) -> None:
        """Start the node and wait until it is ready; does nothing when it runs."""
        if self._server is not None and self._server.poll() is None:
            return
        if self._epmd is None or self._epmd.poll() is not None:
            if self._server is None:
                self.prepare()  # a later start keeps the ports, which clients have been told
            self._epmd = processes.start(self.epmd_command(), self.log, orphaned=signal.SIGKILL)
        self._server = processes.start(self.server_command(), self.log, orphaned=signal.SIGTERM)
        self.wait_ready()

    def wait_ready(self, deadline_seconds: float = START_SECONDS) -> None:
        """Return once clients can connect; raise NotReady when the node ended or took too long."""

        def ready() -> bool:
            if self._server is not None and self._server.poll() is not None:
                raise NotReady(f"RabbitMQ ended with status {self._server.returncode}: see {self.log}")
            return self.is_ready()

        processes.wait_until(ready, deadline_seconds, f"RabbitMQ to be ready ({self.log})")

    def stop(self) -> None:
        """End the node cleanly, then its port mapper."""
        if self._server is not None and self._server.poll() is None:
            self._server.send_signal(signal.SIGTERM)
            try:
                self._server.wait(STOP_SECONDS)
            except subprocess.TimeoutExpired:
                self.kill()
        if self._epmd is not None and self._epmd.poll() is None:
            self._epmd.kill()
            self._epmd.wait()

    def kill(self) -> None:
        """SIGKILL the broker and all its processes, as a crash would; `start()` brings it back on the same ports."""
        if self._server is not None and self._server.poll() is None:
            processes.kill_tree(self._server.pid)
            self._server.wait()

    def ctl(self, *arguments: str) -> str:
        """Run rabbitmqctl against this node (takes a second or two) and return its output."""
        command = [str(SCRIPTS / "rabbitmqctl"), "-n", "callbus@localhost", *arguments]
        done = subprocess.run(command, env=self._environment(), check=True, capture_output=True, text=True)
        return done.stdout

    # -- how -------------------------------------------------------------------------------------------------------

    def _port(self, name: str) -> int:
        names = ("amqp", "distribution", "epmd", "management")
        return ports.remembered(self.directory / "ports.json", names)[name]

    def _environment(self) -> dict[str, str]:
        base = self.directory
        return {
            "HOME": str(base / "home"),
            "PATH": "/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin",
            "LANG": "C.UTF-8",
            "RABBITMQ_CONF_ENV_FILE": "/dev/null",
            "RABBITMQ_NODENAME": "callbus@localhost",
            "RABBITMQ_NODE_IP_ADDRESS": "127.0.0.1",
            "RABBITMQ_NODE_PORT": str(self.port),
            # Erlang's default, AMQP port + 20000, listens on every address.
            "RABBITMQ_DIST_PORT": str(self._port("distribution")),
            "ERL_EPMD_PORT": str(self._port("epmd")),
            "ERL_EPMD_ADDRESS": "127.0.0.1",
            "RABBITMQ_MNESIA_BASE": str(base / "mnesia"),
            "RABBITMQ_LOG_BASE": str(base / "log"),
            "RABBITMQ_ENABLED_PLUGINS_FILE": str(base / "enabled_plugins"),
            "RABBITMQ_CONFIG_FILE": str(base / "rabbitmq.conf"),
            "RABBITMQ_PID_FILE": str(base / "pid"),
            # Makes the script become the Erlang machine instead of its parent, so that signals reach it.
            "RUNNING_UNDER_SYSTEMD": "true",
            # No busy waiting: a local machine has better things to do with its cores.
            "RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS": "-kernel inet_dist_use_interface {127,0,0,1}"
            " +sbwt none +sbwtdcpu none +sbwtdio none",
        }

    def _configuration(self) -> str:
        lines = [
            f"default_user = {USER}",
            f"default_pass = {self.password}",
            f"default_vhost = {VHOST}",
            "vm_memory_high_watermark.absolute = 1GiB",
            "disk_free_limit.absolute = 50MB",
            "log.console = true",
            "log.console.level = info",
            "log.file = false",
        ]
        if self.management:
            lines += [
                "management.tcp.ip = 127.0.0.1",
                f"management.tcp.port = {self._port('management')}",
            ]
        return "\n".join(lines) + "\n"
