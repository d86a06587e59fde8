"""`callbus partners`: PBX vendors' applications, which speak the partner API for chains that they are entitled to."""

from __future__ import annotations

import argparse
from datetime import timedelta

from callbus.cli.commands import Commands, noun, verb
from callbus.cli.environment import Environment
from callbus.cli.output import Output
from shared.clock import now


def add_to(commands: Commands) -> None:
    """Add the commands."""
    group = noun(commands, "partners", "PBX vendors' applications: create, entitle, withdraw, token, revoke, list")
    verb(group, "create", create, "create a partner, entitled to nothing").add_argument("name", help="who it is")
    for name, command, text in (
        ("entitle", entitle, "let a partner act for an account's partner channels, or for one of them"),
        ("withdraw", withdraw, "take back what entitle gave in the same words"),
    ):
        parser = verb(group, name, command, text)
        parser.add_argument("id", type=int)
        parser.add_argument("--account", type=int, required=True, metavar="ID")
        parser.add_argument(
            "--channel", type=int, metavar="ID", help="this channel alone; left out: all of the account"
        )
    parser = verb(group, "token", token, "give a partner one more token and print it, this once; the others stay good")
    parser.add_argument("id", type=int)
    parser.add_argument("--days", type=_days, metavar="N", help="how long it is good; left out: until it is revoked")
    parser = verb(group, "revoke", revoke, "end a partner's tokens, or one of them")
    parser.add_argument("id", type=int)
    parser.add_argument("--token", type=int, metavar="ID", help="this one alone; left out: all")
    verb(group, "list", show_list, "list partners with the ids of their tokens and what they are entitled to")


async def create(arguments: argparse.Namespace, environment: Environment, output: Output) -> None:
    """Print the new partner's id."""
    async with environment.store() as store:
        partner_id = await store.create_partner(arguments.name, [])
    output.one({"id": partner_id, "name": arguments.name})


async def entitle(arguments: argparse.Namespace, environment: Environment, output: Output) -> None:
    """Let it act."""
    async with environment.store() as store:
        await store.entitle_partner(arguments.id, arguments.account, arguments.channel)
    output.one(_right(arguments, True))


async def withdraw(arguments: argparse.Namespace, environment: Environment, output: Output) -> None:
    """Stop it; ingest heeds that within seconds."""
    async with environment.store() as store:
        await store.withdraw_partner(arguments.id, arguments.account, arguments.channel)
    output.one(_right(arguments, False))


async def token(arguments: argparse.Namespace, environment: Environment, output: Output) -> None:
    """Print the token."""
    expires_at = None if arguments.days is None else now() + timedelta(days=arguments.days)
    async with environment.store() as store:
        issued = await store.issue_partner_token(arguments.id, expires_at)
    output.one({"id": arguments.id, "token_id": issued.id, "token": issued.secret, "expires_at": expires_at})


async def revoke(arguments: argparse.Namespace, environment: Environment, output: Output) -> None:
    """End tokens; ingest heeds that within seconds."""
    async with environment.store() as store:
        if arguments.token is None:
            await store.revoke_partner_tokens(arguments.id)
        else:
            await store.revoke_partner_token(arguments.id, arguments.token)
    output.one({"id": arguments.id, "token_id": arguments.token or "all", "revoked": True})


async def show_list(_arguments: argparse.Namespace, environment: Environment, output: Output) -> None:
    """Print partners; `1/4` is channel 4 of account 1."""
    async with environment.store() as store:
        rows = await store.list_partners()
    nothing = "No partners yet: callbus partners create NAME"
    output.many([{"id": row.pop("partner_id"), **row} for row in rows], nothing)


def _right(arguments: argparse.Namespace, entitled: bool) -> dict[str, object]:
    channel = "all" if arguments.channel is None else arguments.channel
    return {"id": arguments.id, "account": arguments.account, "channel": channel, "entitled": entitled}


def _days(text: str) -> float:
    days = float(text)
    if not 0 < days <= 36500:
        raise argparse.ArgumentTypeError("more than 0 days")
    return days
