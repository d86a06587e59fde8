"""`python -m tests.bench [part …]`: measures and prints; it never passes or fails. README.md says what it means."""

from __future__ import annotations

import argparse
import os
import platform
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from datetime import UTC, datetime

from tests.bench import call, history, ingest, journal, post_to_row


def main() -> None:
    arguments = _arguments()
    parts: Mapping[str, Callable[[], str]] = {
        "call": call.run,
        "ingest": lambda: ingest.run(rounds=arguments.rounds, seconds=arguments.seconds),
        "journal": lambda: journal.run(rounds=arguments.rounds, seconds=arguments.seconds),
        "history": history.run,
        "row": lambda: post_to_row.run(seconds=4 * arguments.seconds),
        "bus": _bus,
    }
    unknown = sorted(set(arguments.parts) - set(parts))
    if unknown:
        raise SystemExit(f"no such part: {', '.join(unknown)}; there are {', '.join(parts)}")
    print(_machine(), flush=True)
    for name in arguments.parts or parts:
        started = time.monotonic()
        print(f"\n{parts[name]()}({name}: {time.monotonic() - started:.0f} s)", flush=True)


def _bus() -> str:
    """In a process of its own: it measures all CPU time that its process uses."""
    command = (sys.executable, "-m", "tests.bench.bus_clients")
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
    return f"The bus: shared/bus against its client and aio-pika\n{done.stdout}"


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.bench", description=__doc__)
    parser.add_argument("parts", nargs="*", help="parts to run (default: all)")
    parser.add_argument("--rounds", type=int, default=5, help="rounds of each variant (default: 5)")
    parser.add_argument("--seconds", type=float, default=3.0, help="length of one round (default: 3)")
    return parser.parse_args()


def _machine() -> str:
    load = ", ".join(f"{value:.1f}" for value in os.getloadavg())
    now = datetime.now(UTC).strftime("%Y-%m-%d %H:%M")
    speed = f"a million additions take {_million_additions_ms():.0f} ms"
    return f"{now} UTC, {os.cpu_count()} cores, load {load}, Python {platform.python_version()}, {speed}"


def _million_additions_ms() -> float:
    """How fast a core is now: by this, figures of different machines and hours may be compared, roughly."""
    started, total = time.process_time(), 0
    for number in range(1_000_000):
        total += number
    return (time.process_time() - started) * 1000


if __name__ == "__main__":
    main()
