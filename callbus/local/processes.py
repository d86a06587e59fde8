"""Starting, watching and ending operating system processes (Linux)."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

# A parent-death signal is sent when the *thread* that started the child ends, so children are started by one thread
# that lives as long as this process.
_STARTER = ThreadPoolExecutor(max_workers=1, thread_name_prefix="process-starter")


class NotReady(Exception):
    """Something did not become ready in time, or ended while it was waited for."""


@dataclass(frozen=True)
class Command:
    """How to run one program in the foreground; `environment` is complete, nothing else is inherited."""

    argv: tuple[str, ...]
    environment: Mapping[str, str]
    directory: Path


def start(
    command: Command, log: Path, orphaned: signal.Signals, pass_fds: Sequence[int] = ()
) -> subprocess.Popen[bytes]:
    """Start a program in a session of its own, output appended to `log`.

    It gets the signal `orphaned` when this process ends in whatever way, so that nothing outlives it.
    """
    argv = ["setpriv", "--pdeathsig", orphaned.name.removeprefix("SIG"), *command.argv]

    def spawn() -> subprocess.Popen[bytes]:
        with log.open("ab") as output:
            return subprocess.Popen(
                argv,
                env=dict(command.environment),
                cwd=command.directory,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                pass_fds=pass_fds,
            )

    return _STARTER.submit(spawn).result()


def children_by_parent() -> dict[int, list[int]]:
    """Return the process table as parent pid -> child pids; zombies are left out."""
    table: dict[int, list[int]] = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            with contextlib.suppress(OSError):
                # The command name is in parentheses and may hold anything, so split behind the last one.
                state, parent = (entry / "stat").read_text().rpartition(")")[2].split()[:2]
                if state != "Z":
                    table.setdefault(int(parent), []).append(int(entry.name))
    return table


def tree(root: int) -> list[int]:
    """Return `root` and all its descendants, parents first."""
    table = children_by_parent()
    found = [root]
    for pid in found:
        found.extend(table.get(pid, ()))
    return found


def kill_tree(root: int, deadline_seconds: float = 20) -> None:
    """SIGKILL a process and all its descendants; return when they are gone."""
    pids: list[int] = []
    # Stopped processes cannot fork; repeat until a look at the table finds nothing new.
    while new := [pid for pid in tree(root) if pid not in pids]:
        pids += new
        send(new, signal.SIGSTOP)
    send(pids, signal.SIGKILL)
    wait_until(
        lambda: not any(alive(pid) for pid in pids),
        deadline_seconds,
        "processes to be gone after SIGKILL",
    )


def send(pids: Iterable[int], number: signal.Signals) -> None:
    """Send a signal to each process that still exists."""
    for pid in pids:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, number)


def alive(pid: int) -> bool:
    """Tell whether a process exists and is not a zombie."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def wait_until(
    ready: Callable[[], bool],
    deadline_seconds: float,
    what: str,
    pause_seconds: float = 0.05,
) -> None:
    """Return once `ready()` is true; raise NotReady("waited … for `what`") after the deadline."""
    end = time.monotonic() + deadline_seconds
    while not ready():
        if time.monotonic() > end:
            raise NotReady(f"waited {deadline_seconds:.0f} s for {what}")
        time.sleep(pause_seconds)
