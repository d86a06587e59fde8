"""The private nodes: their data outlives a kill, the tests' helpers do what they say."""

from __future__ import annotations

import asyncio
import os
import stat
from urllib.parse import urlsplit

import aio_pika
import asyncpg
import pytest

from callbus.local import processes
from tests.support.nodes import Postgres, RabbitMQ


async def test_each_test_has_an_empty_virtual_host_of_its_own(amqp_url: str, rabbitmq: RabbitMQ) -> None:
    async with await aio_pika.connect(amqp_url) as connection:
        channel = await connection.channel()
        await channel.declare_queue("anything", durable=True)
    vhost = urlsplit(amqp_url).path[1:]
    assert [queue["name"] for queue in rabbitmq.api("GET", f"/queues/{vhost}")] == ["anything"]
    assert rabbitmq.api("GET", f"/queues/{rabbitmq.new_vhost()}") == []


async def test_each_test_has_an_empty_database_of_its_own(database_dsn: str, postgres: Postgres) -> None:
    database = urlsplit(database_dsn).path[1:]
    connection = await asyncpg.connect(database_dsn)
    await connection.execute(
        f"CREATE TABLE thing (); CREATE ROLE {database}_ingest LOGIN; GRANT ALL ON thing TO {database}_ingest"
    )
    await connection.close()
    postgres.drop_database(database)
    assert postgres.execute(f"SELECT rolname FROM pg_roles WHERE rolname = '{database}_ingest'") == ""


async def test_memory_alarm_blocks_publishers_and_lets_them_go(rabbitmq: RabbitMQ, amqp_url: str) -> None:
    async with await aio_pika.connect(amqp_url) as connection:
        channel = await connection.channel()
        queue = await channel.declare_queue("alarmed", durable=True)
        await asyncio.to_thread(rabbitmq.set_memory_alarm, True)
        try:
            publish = asyncio.ensure_future(channel.default_exchange.publish(aio_pika.Message(b"x"), queue.name))
            confirmed, _ = await asyncio.wait([publish], timeout=0.5)
        finally:
            await asyncio.to_thread(rabbitmq.set_memory_alarm, False)
        await asyncio.wait_for(publish, 30)
    assert not confirmed


async def test_broker_finds_its_messages_after_a_kill(
    own_rabbitmq: RabbitMQ,
) -> None:
    async with await aio_pika.connect(own_rabbitmq.amqp_url()) as connection:
        channel = await connection.channel()
        queue = await channel.declare_queue("kept", durable=True, arguments={"x-queue-type": "quorum"})
        await asyncio.sleep(2)  # a queue must be older than this to survive: see RabbitMQNode
        for number in range(20):
            message = aio_pika.Message(str(number).encode(), delivery_mode=aio_pika.DeliveryMode.PERSISTENT)
            await channel.default_exchange.publish(message, queue.name)
        await asyncio.to_thread(own_rabbitmq.kill)
    await asyncio.to_thread(own_rabbitmq.start)
    bodies = []
    async with await aio_pika.connect(own_rabbitmq.amqp_url()) as connection:
        channel = await connection.channel()
        queue = await channel.get_queue("kept")
        async with asyncio.timeout(60), queue.iterator() as messages:
            async for delivery in messages:
                bodies.append(int(delivery.body))
                await delivery.ack()
                if len(bodies) == 20:
                    break
    assert bodies == list(range(20))


async def test_broker_can_close_the_connections_of_one_virtual_host(rabbitmq: RabbitMQ, amqp_url: str) -> None:
    connection = await aio_pika.connect(amqp_url)
    closed = asyncio.Event()
    connection.close_callbacks.add(lambda *_: closed.set())
    vhost = urlsplit(amqp_url).path[1:]
    async with asyncio.timeout(60):
        await asyncio.to_thread(
            processes.wait_until, lambda: rabbitmq.close_connections(vhost) > 0, 60, "a connection to close"
        )
        await closed.wait()


def test_database_finds_its_rows_after_a_kill_and_after_a_stop(
    own_postgres: Postgres,
) -> None:
    own_postgres.execute("CREATE TABLE kept AS SELECT 7 AS number")
    own_postgres.kill()
    own_postgres.start()
    own_postgres.stop()
    own_postgres.start()
    assert own_postgres.execute("SELECT number FROM kept") == "7\n"


def test_killed_database_leaves_no_process(own_postgres: Postgres) -> None:
    before = set(processes.tree(os.getpid()))
    own_postgres.kill()
    gone = before - set(processes.tree(os.getpid()))
    assert len(gone) > 3  # the server and its helpers
    assert not any(processes.alive(pid) for pid in gone)


@pytest.mark.parametrize("name", ["password", "rabbitmq.conf", "home/.erlang.cookie"])
def test_secrets_of_the_broker_are_private(rabbitmq: RabbitMQ, name: str) -> None:
    mode = stat.S_IMODE((rabbitmq.directory / name).stat().st_mode)
    assert mode & 0o077 == 0
