"""Free TCP ports on the loopback interface, remembered in a file so that a restart has the same ones."""

from __future__ import annotations

import json
import random
import socket
from collections.abc import Iterable, Mapping
from pathlib import Path

# Below the range from which Linux takes the ports of outgoing connections (32768 and up), so that no client
# connection ever sits on a remembered port.
_RANGE = range(20_000, 32_000)


class NoFreePort(Exception):
    """No free port was found."""


def is_free(port: int) -> bool:
    """Tell whether a server could listen on 127.0.0.1:`port` now."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
        return True


def remembered(file: Path, names: Iterable[str], preferred: int | None = None) -> Mapping[str, int]:
    """Return one port per name: the ones in `file` as they are, new free ones for names that it lacks.

    A new one is `preferred`, where that is given and free.
    """
    ports: dict[str, int] = json.loads(file.read_text()) if file.exists() else {}
    missing = [name for name in names if name not in ports]
    for name in missing:
        ports[name] = preferred if preferred and is_free(preferred) else _pick(taken=set(ports.values()))
    if missing:
        _write(file, ports)
    return ports


def remember(file: Path, name: str, port: int) -> None:
    """Have `name` use `port` from now on."""
    ports: dict[str, int] = json.loads(file.read_text()) if file.exists() else {}
    if ports.get(name) != port:
        _write(file, {**ports, name: port})


def refresh(file: Path) -> None:
    """Forget those remembered ports which something else has taken meanwhile."""
    if file.exists():
        ports = json.loads(file.read_text())
        _write(file, {name: port for name, port in ports.items() if is_free(port)})


def _pick(taken: set[int]) -> int:
    for port in random.sample(_RANGE, k=200):
        if port not in taken and is_free(port):
            return port
    raise NoFreePort("found no free port between 20000 and 32000 on 127.0.0.1")


def _write(file: Path, ports: Mapping[str, int]) -> None:
    temporary = file.with_suffix(".new")
    temporary.write_text(json.dumps(ports, indent=1) + "\n")
    temporary.replace(file)
