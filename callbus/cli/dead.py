"""`callbus dead`: messages that a service could not handle."""

from __future__ import annotations

import argparse

from callbus.cli.commands import Commands, noun, verb
from callbus.cli.environment import Environment
from callbus.cli.output import Output
from services.routing.errors import NotFound
from shared.bus.dead import DeadLetters
from shared.errors import CallbusError


def add_to(commands: Commands) -> None:
    """Add the commands."""
    group = noun(commands, "dead", "dead letters of a service: list, show, replay, drop")
    parser = verb(group, "list", show_list, "list dead letters, oldest first")
    _add_service(parser)
    parser.add_argument("--limit", type=int, default=100, metavar="N", help="at most so many (default 100)")
    parser = verb(group, "show", show, "show one, with its body")
    _add_service(parser)
    parser.add_argument("message_id")
    parser = verb(group, "replay", replay, "put dead letters back into the one queue that each came from")
    _add_chosen(parser)
    parser = verb(group, "drop", drop, "delete dead letters for good")
    _add_chosen(parser)


def _add_service(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("service", help="history, for example")


def _add_chosen(parser: argparse.ArgumentParser) -> None:
    _add_service(parser)
    chosen = parser.add_mutually_exclusive_group(required=True)
    chosen.add_argument("message_ids", nargs="*", default=[], metavar="message_id")
    chosen.add_argument("--all", action="store_true", help="every one that is there")


async def show_list(arguments: argparse.Namespace, environment: Environment, output: Output) -> None:
    """Print dead letters, without bodies."""
    letters = await _letters(arguments, environment).list(arguments.limit)
    if output.as_json:
        output.many([letter._asdict() for letter in letters], "")
        return
    names = ("message_id", "dead_at", "source_queue", "routing_key", "reason", "error")
    rows = [{name: getattr(letter, name) for name in names} for letter in letters]
    output.many(rows, f"No dead letters of {arguments.service}.")


async def show(arguments: argparse.Namespace, environment: Environment, output: Output) -> None:
    """Print one."""
    letter = await _letters(arguments, environment).show(arguments.message_id)
    if letter is None:
        raise NotFound(f"no dead letter {arguments.message_id} of {arguments.service}")
    output.one(letter._asdict())


async def replay(arguments: argparse.Namespace, environment: Environment, output: Output) -> None:
    """Print how many were replayed."""
    count = await _letters(arguments, environment).replay(_ids(arguments))
    _report(arguments, output, "replayed", count)


async def drop(arguments: argparse.Namespace, environment: Environment, output: Output) -> None:
    """Print how many were dropped."""
    count = await _letters(arguments, environment).drop(_ids(arguments))
    _report(arguments, output, "dropped", count)


def _letters(arguments: argparse.Namespace, environment: Environment) -> DeadLetters:
    return DeadLetters(environment.get("CALLBUS_AMQP_URL"), arguments.service)


def _ids(arguments: argparse.Namespace) -> list[str] | None:
    return None if arguments.all else arguments.message_ids


def _report(arguments: argparse.Namespace, output: Output, what: str, count: int) -> None:
    output.one({what: count})
    wanted = 0 if arguments.all else len(set(arguments.message_ids))
    if count < wanted:
        raise CallbusError(f"{wanted - count} of {wanted} were not among the dead letters of {arguments.service}")
