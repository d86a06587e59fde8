"""Fixtures for every test: real brokers and databases, started once per run, isolated per test.

`rabbitmq` and `postgres` are shared by the whole run: never stop or kill them. A test that does so asks for
`own_rabbitmq` or `own_postgres`, which cost some seconds. They end with pytest, however it ends.
"""

from __future__ import annotations

import signal
from collections.abc import Iterator

import pytest

from callbus.local.rabbitmq import VHOST
from callbus.local.system import System
from tests.support.nodes import Postgres, RabbitMQ, running_postgres, running_rabbitmq, temporary_directory


def pytest_configure() -> None:
    """Let SIGTERM end a run as Ctrl-C does, fixtures torn down."""
    signal.signal(signal.SIGTERM, signal.default_int_handler)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Print what tests have told of themselves."""
    reports = [each for word in ("passed", "failed") for each in terminalreporter.getreports(word)]
    for report in reports:
        for name, value in getattr(report, "user_properties", ()):
            if name == "told":
                terminalreporter.write_line(str(value))


@pytest.fixture(scope="session")
def rabbitmq() -> Iterator[RabbitMQ]:
    """The shared broker."""
    with running_rabbitmq() as node:
        yield node


@pytest.fixture(scope="session")
def postgres() -> Iterator[Postgres]:
    """The shared database server."""
    with running_postgres() as node:
        yield node


@pytest.fixture
def amqp_url(rabbitmq: RabbitMQ) -> Iterator[str]:
    """URL of a fresh virtual host on the shared broker, deleted afterwards."""
    vhost = rabbitmq.new_vhost()
    yield rabbitmq.amqp_url(vhost)
    rabbitmq.delete_vhost(vhost)


@pytest.fixture
def database_dsn(postgres: Postgres) -> Iterator[str]:
    """Superuser's DSN of a fresh empty database on the shared server; it and its roles are dropped afterwards."""
    database = postgres.new_database()
    yield postgres.dsn(database)
    postgres.drop_database(database)


@pytest.fixture(scope="module")
def system() -> Iterator[System]:
    """The whole system with its real services, edge and demo account, in a directory of its own."""
    with temporary_directory() as directory:
        composed = System(directory)
        try:
            composed.start()
            yield composed
        finally:
            composed.stop()


@pytest.fixture(scope="session")
def spare_rabbitmq() -> Iterator[RabbitMQ]:
    """The broker that is lent out by `own_rabbitmq`: to start one for each test would take longer than they do."""
    with running_rabbitmq() as node:
        yield node


@pytest.fixture
def own_rabbitmq(spare_rabbitmq: RabbitMQ) -> Iterator[RabbitMQ]:
    """A broker that no other test uses meanwhile, to be stopped and killed at will. Mind the docstring of RabbitMQNode.

    Its one virtual host is empty.
    """
    yield spare_rabbitmq
    spare_rabbitmq.start()
    spare_rabbitmq.delete_vhost(VHOST)
    spare_rabbitmq.add_vhost(VHOST)


@pytest.fixture
def own_postgres() -> Iterator[Postgres]:
    """A database server of the test's own, to be stopped and killed at will."""
    with running_postgres() as node:
        yield node
