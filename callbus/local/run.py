"""`make run`: brings the system up in this checkout, tells how to use it, and watches over it until told to stop."""

from __future__ import annotations

import os
import signal
import sys
import threading

from callbus.local import summary
from callbus.local.parts import CHECKOUT
from callbus.local.ports import NoFreePort
from callbus.local.processes import NotReady
from callbus.local.system import AlreadyRunning, PortTaken, System
from shared.errors import CallbusError

PREFERRED_PORT = 8080
LOOK_SECONDS = 1.0
REVIVE_LOOKS = 15  # a program that was given up is tried again after so many looks


def main() -> int:
    """Run until SIGINT, SIGTERM or SIGHUP; return the exit status."""
    stopping = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, lambda *_: _interrupt(stopping))
    wanted = os.environ.get("CALLBUS_PORT")
    if wanted and not (wanted.isascii() and wanted.isdecimal() and 0 < int(wanted) < 65536):
        print(f"callbus: CALLBUS_PORT is not a port: {wanted}", file=sys.stderr)
        return 1
    system = System(
        CHECKOUT / ".run",
        port=int(wanted) if wanted else None,
        preferred_port=PREFERRED_PORT,
        amqp_url=os.environ.get("CALLBUS_AMQP_URL"),
        postgres_dsn=os.environ.get("CALLBUS_POSTGRES_DSN"),
    )
    try:
        print("Starting; logs are in .run/log/", flush=True)
        system.start()
        print(summary.of(system.demo), flush=True)
        if not wanted and system.surroundings.edge_port != PREFERRED_PORT:
            print(
                f"(An earlier run's port, or {PREFERRED_PORT} is taken; CALLBUS_PORT names another.)",
                flush=True,
            )
        return _watch(system, stopping)
    except _Interrupted:
        return 0
    except (AlreadyRunning, NotReady, NoFreePort, PortTaken, CallbusError, OSError) as problem:
        print(f"callbus: {problem}", file=sys.stderr)
        return 1
    finally:
        # From here on a second signal must not cut the stopping short.
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, signal.SIG_IGN)
        if system.running:
            print("Stopping", flush=True)
        system.stop()


class _Interrupted(BaseException):
    """A signal asked us to end."""


def _interrupt(stopping: threading.Event) -> None:
    if not stopping.is_set():
        stopping.set()
        raise _Interrupted


def _watch(system: System, stopping: threading.Event) -> int:
    """Report programs that die, and try again those that the supervisor has given up."""
    words: dict[str, str] = {}
    given_up: dict[str, int] = {}
    while not stopping.wait(LOOK_SECONDS):
        if not system.running:
            print("callbus: the supervisor ended; see .run/log/supervisord.out", file=sys.stderr)
            return 1
        for state in system.states():
            if state.word in ("BACKOFF", "FATAL") and words.get(state.name) != state.word:
                what = (
                    "does not stay up; tried again in a while" if state.word == "FATAL" else "ended, is started again"
                )
                print(
                    f"callbus: {state.name} {what} ({state.why}); log: {system.log_file(state.name)}", file=sys.stderr
                )
            words[state.name] = state.word
            given_up[state.name] = given_up.get(state.name, 0) + 1 if state.word == "FATAL" else 0
            if given_up[state.name] >= REVIVE_LOOKS:
                given_up[state.name] = 0
                system.revive(state.name)
    return 0


if __name__ == "__main__":
    sys.exit(main())
