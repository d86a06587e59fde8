"""`callbus journal`: what waits on ingest's disk for the broker."""

from __future__ import annotations

import argparse
from typing import Any

from callbus.cli.commands import Commands, verb
from callbus.cli.environment import Environment
from callbus.cli.operators import Operators
from callbus.cli.output import Output


def add_to(commands: Commands) -> None:
    """Add the command."""
    verb(commands, "journal", show, "what ingest keeps on disk until the broker or the database takes it")


async def show(_arguments: argparse.Namespace, environment: Environment, output: Output) -> None:
    """Print each file: of this replica, of others on the same folder, and those set aside because they are damaged."""
    async with Operators.of(environment) as operators:
        journals = (await operators.get("ingest", "/journal"))["items"]
    output.many([row for journal in journals for row in _rows(journal)], "The journal is empty.")


def _rows(journal: dict[str, Any]) -> list[dict[str, Any]]:
    nothing: dict[str, Any] = {"bytes": None, "forwarded_bytes": None, "age_seconds": None}
    held = [{"journal": journal["name"], "state": "waiting", **file} for file in journal["files"]]
    others = [{"journal": journal["name"], "state": "of another", "name": name} for name in journal["of_others"]]
    damaged = [{"journal": journal["name"], "state": "damaged", "name": name} for name in journal["set_aside"]]
    return [*held, *({**row, **nothing} for row in (*others, *damaged))]
