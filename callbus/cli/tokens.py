"""`callbus tokens`: API tokens of accounts and users."""

from __future__ import annotations

import argparse
from datetime import timedelta

from callbus.cli.commands import Commands, noun, verb
from callbus.cli.environment import Environment
from callbus.cli.output import Output
from shared.clock import now
from shared.directory import SCOPES


def add_to(commands: Commands) -> None:
    """Add the commands."""
    group = noun(commands, "tokens", "API tokens: create, list, revoke")
    parser = verb(group, "create", create, "create a token and print it, this once")
    parser.add_argument("--account", type=int, required=True, metavar="ID")
    parser.add_argument("--name", required=True, help="what it is for")
    parser.add_argument("--user", type=int, metavar="ID", help="of this user; left out: the account's own")
    allowed = ", ".join(f"{scope} (to {what})" for scope, what in SCOPES.items())
    parser.add_argument(
        "--scope",
        action="append",
        default=[],
        choices=SCOPES,
        help=f"what alone it may do, repeated for more: {allowed}; left out: all that its account or user may do",
    )
    parser.add_argument("--days", type=_days, metavar="N", help="how long it is good; left out: until it is revoked")
    parser = verb(group, "list", show_list, "list tokens, without their values")
    parser.add_argument("--account", type=int, metavar="ID", help="of this account only")
    verb(group, "revoke", revoke, "end a token").add_argument("id", type=int)


async def create(arguments: argparse.Namespace, environment: Environment, output: Output) -> None:
    """Print the token."""
    expires_at = None if arguments.days is None else now() + timedelta(days=arguments.days)
    async with environment.store() as store:
        issued = await store.create_token(
            arguments.account,
            arguments.name,
            user_id=arguments.user,
            scopes=arguments.scope,
            expires_at=expires_at,
        )
    output.one({"id": issued.id, "name": arguments.name, "token": issued.secret, "expires_at": expires_at})


async def show_list(arguments: argparse.Namespace, environment: Environment, output: Output) -> None:
    """Print tokens, revoked ones too."""
    async with environment.store() as store:
        rows = await store.list_tokens(arguments.account)
    output.many([{"id": row.pop("token_id"), **row} for row in rows], "No tokens.")


async def revoke(arguments: argparse.Namespace, environment: Environment, output: Output) -> None:
    """End a token; services heed it within seconds."""
    async with environment.store() as store:
        await store.revoke_token(arguments.id)
    output.one({"id": arguments.id, "revoked": True})


def _days(text: str) -> float:
    days = float(text)
    if not 0 < days <= 36500:
        raise argparse.ArgumentTypeError("more than 0 days")
    return days
