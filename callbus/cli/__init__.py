"""The command line: one module per noun, each adding its own commands to the parser."""

from __future__ import annotations

import argparse
import asyncio
import errno
import os
import sys
from collections.abc import Sequence
from pathlib import Path

import asyncpg
from aiormq.exceptions import AMQPError

from callbus.cli import accounts, channels, dead, journal, migrate, partners, requests, tokens
from callbus.cli.environment import Environment, MissingSetting
from callbus.cli.output import Output
from shared.errors import CallbusError

_EPILOG = """\
Settings are CALLBUS_* variables (CALLBUS_POSTGRES_DSN, CALLBUS_AMQP_URL, CALLBUS_MASTER_KEY_FILE, CALLBUS_BASE_URL;
for `requests` and `journal` CALLBUS_HISTORY_URL and CALLBUS_INGEST_URL, the services' own ports, and
CALLBUS_OPERATOR_TOKEN_FILE); where neither of the first two is set, they are read from .run/env of the working
directory, which `make run` writes.

Exit status: 0 done, 1 it could not be done, 2 wrong usage or a missing setting.
"""


def run(argv: Sequence[str]) -> int:
    """Do what `argv` says; returns the exit status. An error is one line on stderr."""
    arguments = _parser().parse_args(argv)
    try:
        environment = Environment.read(os.environ, Path.cwd())
        asyncio.run(arguments.command(arguments, environment, Output(sys.stdout, arguments.json)))
    except KeyboardInterrupt:
        return 130
    except MissingSetting as error:
        return _fail(str(error), 2)
    except asyncpg.UndefinedTableError:
        return _fail("the database has no directory yet: run 'callbus migrate'", 1)
    except (CallbusError, asyncpg.PostgresError, asyncpg.InterfaceError, AMQPError, OSError) as error:
        return _fail(_told(error), 1)
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="callbus",
        description="Accounts, channels, partners, tokens, requests, dead letters and migrations of a Callbus system.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--json", action="store_true", help="print JSON instead of text")
    nouns = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)
    for module in (migrate, accounts, channels, partners, tokens, requests, dead, journal):
        module.add_to(nouns)
    return parser


def _told(error: Exception) -> str:
    if isinstance(error, OSError) and error.errno == errno.ECONNREFUSED:
        return f"nothing answers there; is it running? {error}"
    if isinstance(error, OSError) and error.filename is not None:
        return f"{error.filename}: {error.strerror}"
    return str(error) or type(error).__name__


def _fail(text: str, status: int) -> int:
    print(f"callbus: {' '.join(text.split())}", file=sys.stderr)
    return status
