"""`callbus requests`: what providers sent and was refused or not understood."""

from __future__ import annotations

import argparse
from collections.abc import AsyncIterator
from datetime import datetime
from typing import Any, Final
from urllib.parse import quote

from callbus.cli.commands import Commands, noun, verb
from callbus.cli.environment import Environment
from callbus.cli.operators import Operators, Refused
from callbus.cli.output import Output
from services.routing.errors import NotFound
from shared.errors import CallbusError

_PATH: Final = "/requests"
_PAGE: Final = 100
_COLUMNS: Final = ("received_at", "id", "account_id", "channel_id", "provider", "status", "outcome", "reason")
# What ingest needs to apply a request.
_WORDS: Final = ("id", "channel_id", "received_at", "raw", "path_event", "body_cut")


def add_to(commands: Commands) -> None:
    """Add the commands."""
    group = noun(commands, "requests", "providers' requests that were refused or not understood: list, show, apply")
    parser = verb(group, "list", show_list, "list requests, newest first")
    parser.add_argument("--account", type=int, metavar="ID", help="of this account only; 0: of none, after a wrong key")
    _add_channel(parser)
    parser.add_argument("--provider", metavar="NAME", help="of this provider only")
    parser.add_argument(
        "--outcome",
        choices=("unrecognised", "refused", "accepted"),
        help="unrecognised: not understood so far; accepted: applied since",
    )
    parser.add_argument("--limit", type=int, default=100, metavar="N", help="at most so many (default 100)")
    parser = verb(group, "show", show, "show the latest request with an id, accepted ones too")
    parser.add_argument("id", help="the X-Request-Id of its answer")
    parser = verb(group, "apply", apply, "apply requests again, once their words are known")
    chosen = parser.add_mutually_exclusive_group(required=True)
    chosen.add_argument("ids", nargs="*", default=[], metavar="id")
    chosen.add_argument("--unrecognised", action="store_true", help="every one that was not understood so far")
    _add_channel(parser)


def _add_channel(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--channel", type=int, metavar="ID", help="of this channel only")


async def show_list(arguments: argparse.Namespace, environment: Environment, output: Output) -> None:
    """Print what was refused or not understood, and what of it was applied since."""
    wanted = {
        "account": arguments.account,
        "channel_id": arguments.channel,
        "provider": arguments.provider,
        "outcome": arguments.outcome,
    }
    found: list[dict[str, Any]] = []
    async with Operators.of(environment) as operators:
        async for page in operators.pages("history", _PATH, limit=min(_PAGE, arguments.limit), **wanted):
            found += page
            if len(found) >= arguments.limit:
                break
    found = found[: arguments.limit]
    rows = found if output.as_json else [_dated({name: item[name] for name in _COLUMNS}) for item in found]
    output.many(rows, "No such requests.")


def _dated(row: dict[str, Any]) -> dict[str, Any]:
    """For people: its times as every other command shows them."""
    times = {name: datetime.fromisoformat(row[name]) for name in ("received_at", "applied_at") if row.get(name)}
    return {**row, **times}


async def show(arguments: argparse.Namespace, environment: Environment, output: Output) -> None:
    """Print one."""
    async with Operators.of(environment) as operators:
        found = await operators.get("history", f"{_PATH}/{quote(arguments.id, safe='')}")
    output.one(found if output.as_json else _dated({name: value for name, value in found.items() if name != "raw"}))


async def apply(arguments: argparse.Namespace, environment: Environment, output: Output) -> None:
    """Print what came of each. Fails where a request that was named could not be applied."""
    rows: list[dict[str, Any]] = []
    async with Operators.of(environment) as operators:
        chosen = _unrecognised(operators, arguments) if arguments.unrecognised else _named(operators, arguments)
        try:
            async for kept in chosen:
                rows.append(await _applied(operators, kept))  # noqa: PERF401 - what was done before an error is told
        except CallbusError:
            if rows:
                output.many(rows if output.as_json else list(map(_dated, rows)), "")
            raise
    output.many(rows if output.as_json else list(map(_dated, rows)), "Nothing is left to apply.")
    failed = sum(not row["applied"] for row in rows)
    if failed and not arguments.unrecognised:
        raise CallbusError(f"{failed} of {len(rows)} could not be applied")


async def _unrecognised(operators: Operators, arguments: argparse.Namespace) -> AsyncIterator[dict[str, Any]]:
    wanted = {"outcome": "unrecognised", "channel_id": arguments.channel, "limit": _PAGE}
    async for page in operators.pages("history", _PATH, **wanted):
        for kept in page:
            yield kept


async def _named(operators: Operators, arguments: argparse.Namespace) -> AsyncIterator[dict[str, Any]]:
    """Yield every request with one of the ids, for senders may repeat theirs, but those that were applied already."""
    found: list[dict[str, Any]] = []
    for id_ in dict.fromkeys(arguments.ids):
        before = len(found)
        async for page in operators.pages("history", _PATH, id=id_, channel_id=arguments.channel, limit=_PAGE):
            found += page
        if len(found) == before:
            raise NotFound(f"no request {id_} was refused or not understood, or it is too long ago")
    for kept in found:
        if kept["applied_at"] is None:
            yield kept


async def _applied(operators: Operators, kept: dict[str, Any]) -> dict[str, Any]:
    """Apply one and note it, so that it is listed as accepted. Doing it twice does no harm."""
    row = {"id": kept["id"], "received_at": kept["received_at"], "channel_id": kept["channel_id"]}
    if kept["channel_id"] is None or kept["raw"] is None:
        return {**row, "applied": False, "events": 0, "why": "it came with no good key"}
    try:
        answer = await operators.post("ingest", f"{_PATH}/apply", {name: kept[name] for name in _WORDS})
    except Refused as refused:
        return {**row, "applied": False, "events": 0, "why": str(refused)}
    events = answer["events"]
    await operators.post("history", f"{_PATH}/applied", {"event_id": kept["event_id"], "events": events})
    return {**row, "applied": True, "events": len(events), "why": None}
