"""A process is unready for a stated reason, and recovers by itself when the reason has gone."""

from __future__ import annotations

import asyncio
from urllib.parse import urlsplit

import pytest

from shared.bus import Broker, Topology, Unavailable
from shared.bus.topology import CALLS, EVERYTHING, Queue
from tests.integration.bus.support import (
    QUEUE,
    QUICK,
    Recorder,
    becomes_ready,
    eventually,
    message,
    plain_channel,
    ready,
)
from tests.support.nodes import RabbitMQ
from tests.support.proxy import Proxy


async def test_before_it_is_connected_a_publish_fails_at_once(amqp_url: str) -> None:
    broker = Broker(amqp_url, name="t", timings=QUICK)
    assert broker.readiness() == (False, "not started")
    with pytest.raises(Unavailable):
        await broker.publisher().publish([message()])


async def test_wrong_password_is_the_reason(amqp_url: str) -> None:
    async with Broker(amqp_url.replace("callbus:", "callbus:wrong"), name="t", timings=QUICK) as broker:
        await eventually(lambda: "ACCESS_REFUSED" in broker.reason, "the reason")
        assert not broker.ready


async def test_queue_with_other_arguments_is_the_reason_until_it_is_gone(amqp_url: str) -> None:
    async with plain_channel(amqp_url) as channel:
        await channel.queue_declare(QUEUE, durable=True)
    broker = Broker(amqp_url, name="t", timings=QUICK)
    broker.consume(QUEUE, Recorder())
    async with broker:
        await eventually(lambda: f"can't declare queue {QUEUE}" in broker.reason, "the reason")
        with pytest.raises(Unavailable):
            await broker.publisher().publish([message()])
        async with plain_channel(amqp_url) as channel:
            await channel.queue_delete(QUEUE)
        await eventually(lambda: broker.ready, "ready")


async def test_everything_can_be_declared_and_declared_again(amqp_url: str) -> None:
    for _ in range(2):
        async with ready(Broker(amqp_url, name="t", topology=EVERYTHING, timings=QUICK)) as broker:
            await broker.publisher().publish([message(routing_key="call.ended.v1.03")])
    for queue in ("webhooks.calls.03", "routing.calls", "history.calls"):
        await becomes_ready(amqp_url, queue, 2)
    await becomes_ready(amqp_url, "webhooks.calls.04", 0)


async def test_broker_that_is_away_is_found_when_it_comes(amqp_url: str) -> None:
    async with Proxy(amqp_url) as proxy:
        url = proxy.url
    broker = Broker(url, name="t", timings=QUICK)
    async with broker:
        await eventually(lambda: "refused" in broker.reason.lower() or "Connect call failed" in broker.reason, "reason")
    # The same against a proxy that cuts whatever it accepts.
    async with Proxy(amqp_url) as proxy, ready(Broker(proxy.url, name="t", timings=QUICK)) as broker:
        for _ in range(3):
            proxy.cut()
            await eventually(lambda: not broker.ready, "unready")
            await eventually(lambda: broker.ready, "ready again")


async def test_process_is_known_to_the_broker_by_name(rabbitmq: RabbitMQ, amqp_url: str) -> None:
    path = f"/vhosts/{urlsplit(amqp_url).path[1:]}/connections"
    broker = Broker(amqp_url, name="history", timings=QUICK)
    broker.consume(QUEUE, Recorder())
    names: set[str] = set()
    async with ready(broker), asyncio.timeout(40):
        while names != {"history publish", "history consume"}:
            await asyncio.sleep(0.2)  # the broker's statistics are some seconds late
            connections = await asyncio.to_thread(rabbitmq.api, "GET", path)
            names = {connection.get("user_provided_name") for connection in connections}


async def test_topology_of_a_test_may_be_its_own(amqp_url: str) -> None:
    topology = Topology((CALLS,), (Queue("x.calls", "x", bindings=((CALLS, "#"),)), Queue("x.dead", "x")))
    recorder = Recorder()
    broker = Broker(amqp_url, name="t", topology=topology, timings=QUICK)
    broker.consume("x.calls", recorder)
    async with ready(broker):
        await broker.publisher().publish([message(b"1")])
        await eventually(lambda: recorder.bodies == [b"1"], "handled")


async def test_registering_a_consumer_too_late_is_an_error(amqp_url: str) -> None:
    async with ready(Broker(amqp_url, name="t", timings=QUICK)) as broker:
        with pytest.raises(RuntimeError):
            broker.consume(QUEUE, Recorder())
        await asyncio.sleep(0)
