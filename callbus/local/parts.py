"""What the local run is made of: the services, in one list, and the one-shot steps before and after them."""

from __future__ import annotations

import asyncio
import importlib
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

CHECKOUT: Final = Path(__file__).resolve().parents[2]
SERVICES: Final = ("ingest", "history")
# Who has a database role: the services, and those whose tables exist before they do.
ROLES: Final = ("ingest", "routing", "history")

Provision = Callable[[Mapping[str, str]], dict[str, Any]]


def provision(environment: Mapping[str, str]) -> dict[str, Any]:
    """Return the demo account, created the first time; `environment` holds the administrator's CALLBUS_* variables."""
    demo = importlib.import_module("callbus.demo")  # late: the run's own tests do without it
    return dict(asyncio.run(demo.provision(environment)))


@dataclass(frozen=True)
class Parts:
    """The programs of a run; tests of the run itself put small stand-ins here."""

    migrate: tuple[str, ...] = (sys.executable, "-m", "callbus", "migrate")
    services: Mapping[str, tuple[str, ...]] = field(
        default_factory=lambda: {name: (sys.executable, "-m", f"services.{name}") for name in SERVICES}
    )
    provision: Provision = provision
