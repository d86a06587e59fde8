"""`callbus migrate`: schemas, roles and grants in PostgreSQL; exchanges and queues in RabbitMQ."""

from __future__ import annotations

import argparse
import asyncio
from pathlib import Path

from callbus.cli.commands import Commands, verb
from callbus.cli.environment import Environment
from callbus.cli.output import Output
from shared.bus.connection import Broker
from shared.db import migrations
from shared.db.errors import MigrationError
from shared.errors import Transient

_BROKER_SECONDS = 30.0


def add_to(commands: Commands) -> None:
    """Add the command."""
    verb(
        commands,
        "migrate",
        migrate,
        "bring the database (schemas, roles, grants) and the broker's topology up to date; safe to repeat",
    )


async def migrate(_arguments: argparse.Namespace, environment: Environment, output: Output) -> None:
    """Needs an administrator's CALLBUS_POSTGRES_DSN; the roles' passwords are in CALLBUS_ROLE_PASSWORDS_DIR."""
    directory = environment.values.get("CALLBUS_ROLE_PASSWORDS_DIR")
    passwords = None if directory is None else _passwords(Path(directory))
    applied = await migrations.migrate(environment.get("CALLBUS_POSTGRES_DSN"), passwords=passwords)
    amqp_url = environment.values.get("CALLBUS_AMQP_URL")
    if amqp_url is not None:
        await _declare(amqp_url)
    rows = [
        {"service": done.service, "version": done.migration.version, "name": done.migration.name} for done in applied
    ]
    output.many(rows, "The database is up to date.")
    if not output.as_json:
        said = "declared" if amqp_url is not None else "left alone: CALLBUS_AMQP_URL is not set"
        print(f"The broker's topology was {said}.", file=output.stream)


def _passwords(directory: Path) -> dict[str, str]:
    """One file `<service>.password` each. Raises `MigrationError` when one is missing: a service could not log in."""
    passwords = {}
    for service in migrations.all_services():
        file = directory / f"{service}.password"
        try:
            passwords[service] = file.read_text(encoding="ascii").strip()
        except (OSError, UnicodeDecodeError) as error:
            raise MigrationError(f"cannot read the password of {service}: {error}") from None
    return passwords


async def _declare(amqp_url: str) -> None:
    """A supervised connection declares the whole topology before it is ready."""
    broker = Broker(amqp_url, name="callbus migrate")
    try:
        async with asyncio.timeout(_BROKER_SECONDS), broker:
            await broker.until_ready()
    except TimeoutError:
        raise Transient(f"the broker's topology was not declared in {_BROKER_SECONDS:.0f} s: {broker.reason}") from None
