"""A private PostgreSQL server from Debian's packages: own data, own port, loopback only, passwords."""

from __future__ import annotations

import os
import pwd
import secrets
import shutil
import signal
import subprocess
from pathlib import Path

from callbus.local import ports, processes
from callbus.local.files import secret
from callbus.local.processes import Command, NotReady

ROOT = Path("/usr/lib/postgresql")
SUPERUSER = "callbus"
START_SECONDS = 120.0  # well under one on a quiet machine; recovery after a crash takes longer
STOP_SECONDS = 60.0


class PostgresNode:
    """A PostgreSQL server that keeps everything in `directory`.

    Use it directly (`start`, `stop`, `kill`, `wait_ready`) or hand `server_command()` to a supervisor after
    `prepare()`. Data and port survive both a stop and a kill; fsync stays on.

    PostgreSQL refuses to run as root; started by root it runs as the user postgres, who may not even be allowed to
    enter the directory (a checkout under /root): then it gets the one capability that lets it.
    """

    def __init__(self, directory: Path) -> None:
        self.directory = directory.absolute()
        self._server: subprocess.Popen[bytes] | None = None

    # -- what it is ------------------------------------------------------------------------------------------------

    @property
    def port(self) -> int:
        return ports.remembered(self.directory / "ports.json", ["postgres"])["postgres"]

    @property
    def password(self) -> str:
        """Of the superuser `callbus`."""
        return secret(self.directory / "password", lambda: secrets.token_urlsafe(24))

    def dsn(self, database: str = "postgres") -> str:
        """Return the superuser's URL of a database."""
        return f"postgresql://{SUPERUSER}:{self.password}@127.0.0.1:{self.port}/{database}"

    @property
    def log(self) -> Path:
        return self.directory / "postgres.log"

    @property
    def data(self) -> Path:
        return self.directory / "data"

    # -- for a supervisor ------------------------------------------------------------------------------------------

    def prepare(self) -> None:
        """Create the data directory the first time; a port that something else has taken since is replaced."""
        self.directory.mkdir(parents=True, exist_ok=True)
        ports.refresh(self.directory / "ports.json")
        if not (self.data / "PG_VERSION").exists() or not (self.directory / "created").exists():
            self._create()

    def server_command(self) -> Command:
        """The server in the foreground; SIGINT ends it quickly and cleanly, SIGTERM waits for its clients."""
        settings = {
            "port": str(self.port),
            "listen_addresses": "127.0.0.1",
            "unix_socket_directories": "",  # loopback only, and the limit on a socket's path is never met
            "max_connections": "200",
            "dynamic_shared_memory_type": "mmap",  # in the data directory: a kill leaves nothing behind in /dev/shm
            "log_line_prefix": "%m [%p] %q%u@%d ",
        }
        options = [part for name, value in settings.items() for part in ("-c", f"{name}={value}")]
        argv = (
            *self._as_server_user(),
            str(_programs() / "postgres"),
            "-D",
            str(self.data),
            *options,
        )
        return Command(argv, self._environment(), self._working_directory())

    def is_ready(self) -> bool:
        """Tell whether the server accepts connections (it refuses them while it recovers from a crash)."""
        check = [
            str(_programs() / "pg_isready"),
            "-q",
            "-h",
            "127.0.0.1",
            "-p",
            str(self.port),
            "-t",
            "5",
        ]
        return subprocess.run(check, check=False, cwd="/").returncode == 0

    # -- directly --------------------------------------------------------------------------------------------------

    def start(self) -> None:
        """Start the server and wait until it is ready; does nothing when it runs."""
        if self._server is not None and self._server.poll() is None:
            return
        if self._server is None:
            self.prepare()  # a later start keeps the port, which clients have been told
        self._server = processes.start(self.server_command(), self.log, orphaned=signal.SIGINT)
        self.wait_ready()

    def wait_ready(self, deadline_seconds: float = START_SECONDS) -> None:
        """Return once clients can connect; raise NotReady when the server ended or took too long."""

        def ready() -> bool:
            if self._server is not None and self._server.poll() is not None:
                raise NotReady(f"PostgreSQL ended with status {self._server.returncode}: see {self.log}")
            return self.is_ready()

        processes.wait_until(ready, deadline_seconds, f"PostgreSQL to be ready ({self.log})")

    def stop(self) -> None:
        """End the server cleanly; clients are cut off."""
        if self._server is not None and self._server.poll() is None:
            self._server.send_signal(signal.SIGINT)
            try:
                self._server.wait(STOP_SECONDS)
            except subprocess.TimeoutExpired:
                self.kill()

    def kill(self) -> None:
        """SIGKILL the server and all its processes, as a crash would; `start()` brings it back on the same port."""
        if self._server is not None and self._server.poll() is None:
            processes.kill_tree(self._server.pid)
            self._server.wait()

    def execute(self, sql: str, database: str = "postgres") -> str:
        """Run statements with psql as superuser; return rows as lines, columns separated by tabs.

        Raises subprocess.CalledProcessError with psql's message in `stderr`.
        """
        psql = [
            str(_programs() / "psql"),
            "-X",
            "-q",
            "-A",
            "-t",
            "-F",
            "\t",
            "-v",
            "ON_ERROR_STOP=1",
            "-f",
            "-",
        ]
        connection = {
            "PGHOST": "127.0.0.1",
            "PGPORT": str(self.port),
            "PGUSER": SUPERUSER,
            "PGDATABASE": database,
        }
        environment = os.environ | connection | {"PGPASSWORD": self.password}
        done = subprocess.run(
            psql,
            env=environment,
            input=sql,
            check=True,
            capture_output=True,
            text=True,
            cwd="/",
        )
        return done.stdout

    # -- how -------------------------------------------------------------------------------------------------------

    def _create(self) -> None:
        """Make the data directory; one left half-made by an interrupted first start is thrown away."""
        shutil.rmtree(self.data, ignore_errors=True)
        self.data.mkdir(mode=0o700)
        # A file and no pipe: root's pipe is not for the user postgres to open.
        password_file = self.directory / "initdb-password"
        password_file.unlink(missing_ok=True)
        password_file.touch(mode=0o600)
        password_file.write_text(self.password + "\n")
        if os.geteuid() == 0:
            user = pwd.getpwnam("postgres")
            for path in (self.data, password_file):
                os.chown(path, user.pw_uid, user.pw_gid)
        initdb = [
            *self._as_server_user(),
            str(_programs() / "initdb"),
            "-D",
            str(self.data),
            "-U",
            SUPERUSER,
        ]
        initdb += [
            "-A",
            "scram-sha-256",
            "--pwfile",
            str(password_file),
            "--locale=C.UTF-8",
            "-E",
            "UTF8",
        ]
        done = subprocess.run(
            [*initdb, "--no-instructions"],
            env=self._environment(),
            cwd=self._working_directory(),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
        )
        password_file.unlink()
        if done.returncode != 0:
            raise NotReady(f"initdb failed: {done.stderr.strip() or done.stdout.strip()}")
        (self.directory / "created").touch()

    def _as_server_user(self) -> tuple[str, ...]:
        """The start of a command line that makes root run the rest as the user postgres."""
        if os.geteuid() != 0:
            return ()
        become = (
            "setpriv",
            "--reuid=postgres",
            "--regid=postgres",
            "--init-groups",
            "--pdeathsig",
            "INT",
        )
        if all(parent.stat().st_mode & 0o001 for parent in self.data.parents):
            return become
        capability = _entering_capability()
        return (*become, f"--inh-caps=+{capability}", f"--ambient-caps=+{capability}")

    def _working_directory(self) -> Path:
        return self.data if os.geteuid() != 0 else Path("/")

    def _environment(self) -> dict[str, str]:
        return {
            "HOME": str(self.data),
            "PATH": f"{_programs()}:/usr/bin:/bin",
            "LANG": "C.UTF-8",
        }


def _programs() -> Path:
    """Return the directory of the newest installed PostgreSQL's programs."""
    versions = [path for path in ROOT.glob("*/bin") if (path / "postgres").exists()]
    if not versions:
        raise NotReady(f"PostgreSQL is not installed: no {ROOT}/*/bin/postgres")
    return max(versions, key=lambda path: float(path.parent.name))


def _entering_capability() -> str:
    """Return the weakest capability at hand that lets a process enter directories closed to it.

    Containers commonly keep dac_override and drop dac_read_search.
    """
    bounding = next(
        int(line.split()[1], 16) for line in Path("/proc/self/status").read_text().splitlines() if "CapBnd" in line
    )
    return "dac_read_search" if bounding & (1 << 2) else "dac_override"
