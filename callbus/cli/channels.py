"""`callbus channels`: connections of PBXs to accounts, and the URLs their providers post to."""

from __future__ import annotations

import argparse
import json
import sys
from datetime import timedelta
from pathlib import Path
from typing import Any

from callbus.cli.commands import Commands, noun, verb
from callbus.cli.environment import Environment
from callbus.cli.output import Output
from services.ingest.providers import BY_NAME
from services.routing.errors import Invalid
from services.routing.store import NewChannel
from services.routing.urls import KEY_KINDS, webhook_url
from shared.mapping import InvalidMapping, Mapping


def add_to(commands: Commands) -> None:
    """Add the commands."""
    group = noun(
        commands, "channels", "connections of a PBX to an account: create, list, show, rotate, switch on and off, map"
    )
    _add_create(group)
    parser = verb(group, "list", show_list, "list channels")
    parser.add_argument("--account", type=int, metavar="ID", help="of this account only")
    parser = verb(group, "show", show, "show one channel")
    parser.add_argument("id", type=int)
    parser.add_argument("--key", action="store_true", help="also its live keys and the URL to post to")
    text = "give a channel a new key and print it; the one before stays good for a while, one older than that ends now"
    parser = verb(group, "rotate", rotate, text)
    parser.add_argument("id", type=int)
    parser.add_argument(
        "--keep-hours", type=_hours, default=24.0, metavar="N", help="how long the old key stays good (default 24)"
    )
    for name, command, text in (("enable", enable, "switch on"), ("disable", disable, "switch off")):
        verb(group, name, command, f"{text} a channel").add_argument("id", type=int)
    _add_mapping(group)
    parser = verb(group, "clock", clock, "say whether a PBX's own times may order the events of its calls")
    parser.add_argument("id", type=int)
    parser.add_argument("trust", choices=("trusted", "distrusted"), help="distrusted: ours orders them")


def _add_create(group: Commands) -> None:
    parser = verb(group, "create", create, "create a channel and print its key and the URL to post to")
    parser.add_argument("--account", type=int, required=True, metavar="ID")
    parser.add_argument("--provider", required=True, choices=tuple(KEY_KINDS), metavar="|".join(KEY_KINDS))
    parser.add_argument("--name", required=True, help="what people call it, the company's number for example")
    parser.add_argument("--number", help="the company's number")
    parser.add_argument("--department", type=int, metavar="ID", help="where its tickets go")
    parser.add_argument("--location", type=int, metavar="ID", help="whose history its calls enter")
    parser.add_argument("--time-zone", default="Europe/Warsaw", metavar="NAME", help="default: %(default)s")
    parser.add_argument(
        "--country", default="PL", metavar="CC", help="national numbers are of it; default: %(default)s"
    )
    parser.add_argument("--disabled", action="store_true", help="create it switched off")
    parser.add_argument("--mapping", type=Path, metavar="FILE", help="field names of a datera or generic hook, JSON")


def _add_mapping(group: Commands) -> None:
    parser = verb(group, "mapping", mapping, "show, set or check the mapping file of a datera or generic channel")
    parser.add_argument("id", type=int, nargs="?")
    what = parser.add_mutually_exclusive_group()
    what.add_argument("--set", type=Path, metavar="FILE", help="give the channel this mapping")
    what.add_argument("--none", action="store_true", help="take it away: back to our own field names")
    what.add_argument("--check", type=Path, metavar="FILE", help="only say whether the file can be used")


async def create(arguments: argparse.Namespace, environment: Environment, output: Output) -> None:
    """Print the channel's id, its key and its URL."""
    new = NewChannel(
        account_id=arguments.account,
        provider=arguments.provider,
        name=arguments.name,
        number=arguments.number,
        department_id=arguments.department,
        location_id=arguments.location,
        time_zone=arguments.time_zone,
        country=arguments.country,
        enabled=not arguments.disabled,
        mapping=_read_mapping(arguments.mapping),
    )
    async with environment.store() as store:
        issued = await store.create_channel(new)
    output.one({"id": issued.id, **_named(environment, new.provider, issued.secret)})
    if new.provider not in BY_NAME:
        print(f"callbus: {new.provider} is not taken in yet: until it is, this URL answers 404", file=sys.stderr)


async def show_list(arguments: argparse.Namespace, environment: Environment, output: Output) -> None:
    """Print channels, without keys."""
    async with environment.store() as store:
        rows = await store.list_channels(arguments.account)
    names = ("account_id", "provider", "name", "number", "enabled")
    output.many([{"id": row["channel_id"], **{name: row[name] for name in names}} for row in rows], "No channels.")


async def show(arguments: argparse.Namespace, environment: Environment, output: Output) -> None:
    """Print one channel; its keys only where asked for."""
    async with environment.store() as store:
        row = await store.channel(arguments.id)
        keys = await store.channel_keys(arguments.id) if arguments.key else []
    shown: dict[str, Any] = {"id": row.pop("channel_id"), **row}
    for key in keys:
        if key.valid_until is None:
            shown |= _named(environment, row["provider"], key.key)
        else:
            shown |= {f"old_{key.kind}": key.key, "old_valid_until": key.valid_until}
    output.one(shown)


async def rotate(arguments: argparse.Namespace, environment: Environment, output: Output) -> None:
    """Print the new key."""
    async with environment.store() as store:
        key = await store.rotate_channel_key(arguments.id, timedelta(hours=arguments.keep_hours))
        provider = (await store.channel(arguments.id))["provider"]
    output.one({"id": arguments.id, **_named(environment, provider, key), "old_kept_hours": arguments.keep_hours})


async def enable(arguments: argparse.Namespace, environment: Environment, output: Output) -> None:
    """Switch on."""
    await _switch(arguments.id, True, environment, output)


async def disable(arguments: argparse.Namespace, environment: Environment, output: Output) -> None:
    """Switch off: what its provider sends is refused."""
    await _switch(arguments.id, False, environment, output)


async def mapping(arguments: argparse.Namespace, environment: Environment, output: Output) -> None:
    """Print or set a channel's mapping, or only check a file."""
    if arguments.check is not None:
        _check(_read_mapping(arguments.check))
        output.one({"file": str(arguments.check), "valid": True})
        return
    if arguments.id is None:
        raise Invalid("the id of a channel is needed, or --check FILE")
    async with environment.store() as store:
        if arguments.set is not None or arguments.none:
            await store.set_channel_mapping(arguments.id, _read_mapping(arguments.set))
        found = await store.channel_mapping(arguments.id)
    if output.as_json or found is None:
        output.one({"id": arguments.id, "mapping": found})
    else:
        print(json.dumps(found, indent=2, ensure_ascii=False), file=output.stream)  # as it would be in a file


async def clock(arguments: argparse.Namespace, environment: Environment, output: Output) -> None:
    """Set whether the provider's clock is trusted."""
    trusted = arguments.trust == "trusted"
    async with environment.store() as store:
        await store.set_channel_trust_clock(arguments.id, trusted)
    output.one({"id": arguments.id, "trust_clock": trusted})


async def _switch(channel_id: int, enabled: bool, environment: Environment, output: Output) -> None:
    async with environment.store() as store:
        await store.set_channel_enabled(channel_id, enabled)
    output.one({"id": channel_id, "enabled": enabled})


def _named(environment: Environment, provider: str, key: str) -> dict[str, str]:
    return {KEY_KINDS[provider]: key, "url": webhook_url(environment.base_url, provider, key)}


def _read_mapping(file: Path | None) -> dict[str, Any] | None:
    if file is None:
        return None
    try:
        found = json.loads(file.read_text(encoding="utf-8"))
    except ValueError as error:
        raise Invalid(f"{file} is not JSON: {error}") from None
    if not isinstance(found, dict):
        raise Invalid(f"{file} is not a JSON object")
    return found


def _check(found: dict[str, Any] | None) -> None:
    try:
        Mapping.read(found or {})
    except InvalidMapping as error:
        raise Invalid(f"the mapping can't be used: {error}") from None


def _hours(text: str) -> float:
    hours = float(text)
    if not 0 <= hours <= 24 * 365:
        raise argparse.ArgumentTypeError("from 0 to a year")
    return hours
