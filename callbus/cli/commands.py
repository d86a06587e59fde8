"""How a command is declared: a function that takes the arguments, the environment and where to print."""

from __future__ import annotations

import argparse
from collections.abc import Awaitable, Callable
from typing import TypeAlias

from callbus.cli.environment import Environment
from callbus.cli.output import Output

Command = Callable[[argparse.Namespace, Environment, Output], Awaitable[None]]

Commands: TypeAlias = "argparse._SubParsersAction[argparse.ArgumentParser]"


def noun(commands: Commands, name: str, text: str) -> Commands:
    """Add the group of commands about one kind of thing."""
    parser = commands.add_parser(name, help=text, description=f"{text[0].upper()}{text[1:]}.")
    return parser.add_subparsers(title="commands", metavar="COMMAND", required=True)


def verb(commands: Commands, name: str, command: Command, text: str) -> argparse.ArgumentParser:
    """Add one command; returns its parser, for its arguments."""
    parser = commands.add_parser(name, help=text, description=f"{text[0].upper()}{text[1:]}.")
    parser.set_defaults(command=command)
    # Also after the command, where people look for it; without a default, so that it does not undo the one before.
    parser.add_argument("--json", action="store_true", default=argparse.SUPPRESS, help="print JSON instead of text")
    return parser
