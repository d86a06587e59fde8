"""A supervisord of our own: starts programs, restarts what dies, stops all of them in order."""

from __future__ import annotations

import contextlib
import os
import secrets
import shlex
import signal
import subprocess
import sys
import xmlrpc.client
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

from callbus.local import locks, ports, processes
from callbus.local.files import secret, write_private
from callbus.local.processes import Command

_USER = "callbus"
STOP_SECONDS = 180.0


@dataclass(frozen=True)
class Program:
    """One supervised program.

    `rank`: stopping goes from the highest to the lowest, each waiting for the ones above it.
    `stop_signal` asks it to end; after `stop_seconds` it is killed with its children.
    """

    name: str
    command: Command
    rank: int
    stop_signal: signal.Signals = signal.SIGTERM
    stop_seconds: int = 30


@dataclass(frozen=True)
class State:
    """What supervisord says of a program: its word for the state ("RUNNING", "BACKOFF", "FATAL", …) and why."""

    name: str
    word: str
    pid: int
    why: str


class Supervisor:
    """supervisord for the programs of one directory; it ends, and they with it, when this process does."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.logs = directory / "log"
        self._daemon: subprocess.Popen[bytes] | None = None

    def start(self, programs: Sequence[Program], keep_open: int) -> None:
        """Start supervisord with all programs known and none running.

        It inherits the file descriptor `keep_open`, a lock that must last as long as anything runs.
        """
        self.logs.mkdir(parents=True, exist_ok=True)
        configuration = self.directory / "supervisord.conf"
        write_private(configuration, self._configuration(programs))
        command = Command(
            (sys.executable, "-m", "supervisor.supervisord", "--nodaemon", "--configuration", str(configuration)),
            {"PATH": os.environ["PATH"], "LANG": "C.UTF-8", "HOME": str(self.directory)},
            self.directory,
        )
        output = self.logs / "supervisord.out"
        self._daemon = processes.start(command, output, orphaned=signal.SIGTERM, pass_fds=(keep_open,))
        processes.wait_until(self._answers, 60, f"supervisord to start ({output})")

    def stop(self) -> None:
        """Stop every program, highest rank first, then supervisord."""
        if self._daemon is None:
            return
        self._daemon.terminate()
        try:
            self._daemon.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            processes.kill_tree(self._daemon.pid)
            self._daemon.wait()
        self._daemon = None

    def start_program(self, name: str) -> None:
        """Start a program without waiting for it; does nothing when it runs."""
        with contextlib.suppress(xmlrpc.client.Fault):
            self._remote().startProcess(name, False)

    def stop_program(self, name: str) -> None:
        """Stop a program and wait for its end."""
        with contextlib.suppress(xmlrpc.client.Fault):
            self._remote().stopProcess(name, True)

    def states(self) -> list[State]:
        return [
            State(
                str(info["name"]),
                str(info["statename"]),
                int(info["pid"]),
                str(info["spawnerr"] or info["description"]),
            )
            for info in self._remote().getAllProcessInfo()
        ]

    def pid(self, name: str) -> int:
        """Return the process id of a running program; 0 when it does not run."""
        return next(state.pid for state in self.states() if state.name == name)

    @property
    def running(self) -> bool:
        return self._daemon is not None and self._daemon.poll() is None

    def _answers(self) -> bool:
        if not self.running:
            raise processes.NotReady(f"supervisord ended: see {self.logs / 'supervisord.out'}")
        try:
            return bool(self._remote().getState())
        except OSError:
            return False

    def _remote(self) -> Any:
        url = f"http://{_USER}:{self._password()}@127.0.0.1:{self._port()}/RPC2"
        return cast(Any, xmlrpc.client.ServerProxy(url)).supervisor

    def _port(self) -> int:
        return ports.remembered(self.directory / "ports.json", ["supervisor"])["supervisor"]

    def _password(self) -> str:
        return secret(self.directory / "secrets" / "supervisor.password", lambda: secrets.token_urlsafe(24))

    def _configuration(self, programs: Sequence[Program]) -> str:
        # A loopback port, because the path of a Unix socket may not be longer than 107 bytes.
        head = f"""\
[supervisord]
logfile={_escaped(self.logs / "supervisord.log")}
logfile_maxbytes=5MB
logfile_backups=1
pidfile={_escaped(self.directory / "supervisord.pid")}
childlogdir={_escaped(self.logs)}
{"user=root" if os.geteuid() == 0 else ""}

[inet_http_server]
port=127.0.0.1:{self._port()}
username={_USER}
password={_escaped(self._password())}

[rpcinterface:supervisor]
supervisor.rpcinterface_factory=supervisor.rpcinterface:make_main_rpcinterface
"""
        return head + "".join(self._section(program) for program in programs)

    def _section(self, program: Program) -> str:
        # Should supervisord itself be killed, each program is asked to end.
        orphaned = ("setpriv", "--pdeathsig", program.stop_signal.name.removeprefix("SIG"))
        # It does so in its own time, and nothing may start on its data and ports before.
        argv = (*orphaned, *locks.holding(programs_lock(self.directory)), *program.command.argv)
        environment = ",".join(f'{name}="{value}"' for name, value in program.command.environment.items())
        return f"""
[program:{program.name}]
command={_escaped(shlex.join(argv))}
directory={_escaped(program.command.directory)}
environment={_escaped(environment)}
priority={program.rank}
autostart=false
autorestart=true
startsecs=2
startretries=3
stopsignal={program.stop_signal.name.removeprefix("SIG")}
stopwaitsecs={program.stop_seconds}
killasgroup=true
redirect_stderr=true
stdout_logfile={_escaped(self.logs / f"{program.name}.log")}
stdout_logfile_maxbytes=20MB
stdout_logfile_backups=2
"""


def programs_lock(directory: Path) -> Path:
    """Return the file that every program of a run in `directory` holds while it lives."""
    return directory / "programs.lock"


def _escaped(text: str | Path) -> str:
    """Escape a value for supervisord's configuration, where a percent sign starts an expansion."""
    return str(text).replace("%", "%%")
