"""`callbus journal`: what waits on ingest's disk for the broker."""

from __future__ import annotations

import argparse
from typing import Any, Final

from callbus.cli.commands import Commands, verb
from callbus.cli.environment import Environment
from callbus.cli.operators import Operators
from callbus.cli.output import Output


def add_to(commands: Commands) -> None:
    """Add the command."""
    verb(commands, "journal", show, "what ingest keeps on disk until the broker or the database takes it")


# What else is in the folder: by its name in the answer, how it is shown.
_STATES: Final = {"of_others": "of another", "not_adopted": "not ours", "damaged": "damaged", "refused": "refused"}


async def show(_arguments: argparse.Namespace, environment: Environment, output: Output) -> None:
    """Print each file: those that this replica forwards, those of others on the same folder, and those set aside."""
    async with Operators.of(environment) as operators:
        journals = (await operators.get("ingest", "/journal"))["items"]
    output.many([row for journal in journals for row in _rows(journal)], "The journal is empty.")


def _rows(journal: dict[str, Any]) -> list[dict[str, Any]]:
    nothing: dict[str, Any] = {"bytes": None, "forwarded_bytes": None, "age_seconds": None}
    held = [{"journal": journal["name"], "state": "waiting", **file} for file in journal["files"]]
    more = [
        {"journal": journal["name"], "state": state, "name": name, **nothing}
        for key, state in _STATES.items()
        for name in journal[key]
    ]
    return [*held, *more]
