"""`callbus accounts`: tenants."""

from __future__ import annotations

import argparse

from callbus.cli.commands import Commands, noun, verb
from callbus.cli.environment import Environment
from callbus.cli.output import Output


def add_to(commands: Commands) -> None:
    """Add the commands."""
    group = noun(commands, "accounts", "tenants: create, list")
    create_parser = verb(group, "create", create, "create an account")
    create_parser.add_argument("name", help="what people call it")
    verb(group, "list", show_list, "list all accounts")


async def create(arguments: argparse.Namespace, environment: Environment, output: Output) -> None:
    """Print the new account's id."""
    async with environment.store() as store:
        account_id = await store.create_account(arguments.name)
    output.one({"id": account_id, "name": arguments.name})


async def show_list(_arguments: argparse.Namespace, environment: Environment, output: Output) -> None:
    """Print all accounts."""
    async with environment.store() as store:
        rows = await store.list_accounts()
    output.many([{"id": row.pop("account_id"), **row} for row in rows], "No accounts yet: callbus accounts create NAME")
