"""Both services, once for all tests here."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.integration.openapi.support import Bus, in_a_thread, running_bus
from tests.support.nodes import Postgres, RabbitMQ, temporary_directory


@pytest.fixture(scope="package")
def bus(rabbitmq: RabbitMQ, postgres: Postgres) -> Iterator[Bus]:
    """Ingest and history with the demo account, in a thread of their own."""
    vhost, database = rabbitmq.new_vhost(), postgres.new_database()
    amqp_url, dsn = rabbitmq.amqp_url(vhost), postgres.dsn(database)
    with temporary_directory() as folder, in_a_thread(lambda: running_bus(amqp_url, dsn, folder)) as running:
        yield running
    rabbitmq.delete_vhost(vhost)
    postgres.drop_database(database)
