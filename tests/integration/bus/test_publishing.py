"""A publish returns when the broker has every message, and raises what kept it from that."""

from __future__ import annotations

import asyncio
import uuid

import pytest

from shared.bus import Broker, Message, Nacked, Topology, Unavailable, Unroutable
from shared.bus.topology import CALLS, Queue
from tests.integration.bus.support import (
    QUEUE,
    QUICK,
    becomes_ready,
    eventually,
    message,
    numbered,
    plain_channel,
    ready,
    take_all,
)
from tests.support.nodes import RabbitMQ
from tests.support.proxy import Proxy


async def test_confirmed_message_is_in_the_queue_as_sent_and_persistent(amqp_url: str) -> None:
    sent = Message("calls", "call.ended.v1.15", b'{"a": 1}', str(uuid.uuid4()), headers={"x-note": "ä", "x-n": 7})
    async with ready(Broker(amqp_url, name="t", timings=QUICK)) as broker:
        await broker.publisher().publish([sent])
        (got,) = await take_all(amqp_url, QUEUE)
    properties = got.header.properties
    assert (got.body, got.exchange, got.routing_key) == (sent.body, "calls", "call.ended.v1.15")
    assert (properties.message_id, properties.content_type) == (sent.message_id, "application/cloudevents+json")
    assert properties.delivery_mode == 2
    assert {key: (properties.headers or {})[key] for key in ("x-note", "x-n")} == {"x-note": "ä", "x-n": 7}


async def test_body_larger_than_a_frame_arrives_whole(amqp_url: str) -> None:
    body = bytes(range(256)) * 2000
    async with ready(Broker(amqp_url, name="t", timings=QUICK)) as broker:
        await broker.publisher().publish([message(body), message(b"")])
        assert [got.body for got in await take_all(amqp_url, QUEUE)] == [body, b""]


async def test_only_the_caller_of_an_unroutable_message_hears_of_it(amqp_url: str) -> None:
    async with ready(Broker(amqp_url, name="t", timings=QUICK)) as broker:
        publisher = broker.publisher()

        async def publish(number: int) -> bool:
            key = "nowhere" if number % 10 == 0 else "call.ringing.v1.07"
            try:
                await publisher.publish([message(b"%d" % number, key), message(b"%d" % number)])
            except Unroutable as error:
                return len(error.message_ids) != 1
            return True

        assert await asyncio.gather(*map(publish, range(200))) == [number % 10 != 0 for number in range(200)]
        await becomes_ready(amqp_url, QUEUE, 380)


async def test_two_unroutable_messages_of_one_id_are_both_refused(amqp_url: str) -> None:
    twin = message(routing_key="nowhere", message_id="the-same")
    async with ready(Broker(amqp_url, name="t", timings=QUICK)) as broker:
        publisher = broker.publisher()
        ends = await asyncio.gather(*(publisher.publish([twin]) for _ in range(5)), return_exceptions=True)
    assert [type(end) for end in ends] == [Unroutable] * 5


async def test_nack_reaches_the_caller(amqp_url: str) -> None:
    full = {"x-queue-type": "quorum", "x-max-length": 3, "x-overflow": "reject-publish"}
    topology = Topology((CALLS,), (Queue("full", "x", full, ((CALLS, "#"),)),))
    async with ready(Broker(amqp_url, name="t", topology=topology, timings=QUICK)) as broker:
        with pytest.raises(Nacked):
            await _publish_without_end(broker)
        async with plain_channel(amqp_url) as channel:
            await channel.queue_purge("full")
        await _published_eventually(broker)


async def test_queue_deleted_under_the_publisher_is_declared_again(amqp_url: str) -> None:
    async with ready(Broker(amqp_url, name="t", timings=QUICK)) as broker:
        async with plain_channel(amqp_url) as channel:
            await channel.queue_delete(QUEUE)
        with pytest.raises(Unroutable):
            await broker.publisher().publish([message()])
        await _published_eventually(broker)
        assert len(await take_all(amqp_url, QUEUE)) == 1


async def test_cancelled_publish_does_not_disturb_the_others(amqp_url: str) -> None:
    async with ready(Broker(amqp_url, name="t", timings=QUICK)) as broker:
        tasks = [asyncio.create_task(broker.publisher().publish([each])) for each in numbered(100)]
        await asyncio.sleep(0)
        for task in tasks[::2]:
            task.cancel()
        ends = await asyncio.gather(*tasks, return_exceptions=True)
        await broker.publisher().publish([message(b"last")])
        bodies = {got.body for got in await take_all(amqp_url, QUEUE)}
    assert [end for end in ends[1::2] if end is not None] == []
    assert {b"%d" % number for number in range(1, 100, 2)} | {b"last"} <= bodies


async def test_message_that_can_not_be_encoded_fails_alone(amqp_url: str) -> None:
    async with ready(Broker(amqp_url, name="t", timings=QUICK)) as broker:
        with pytest.raises(ValueError, match="255"):
            await broker.publisher().publish([message(), message(routing_key="x" * 256)])
        await broker.publisher().publish([message(b"next")])
        assert [got.body for got in await take_all(amqp_url, QUEUE)] == [b"next"]


async def test_blocked_connection_refuses_at_once_and_recovers(rabbitmq: RabbitMQ, amqp_url: str) -> None:
    async with ready(Broker(amqp_url, name="t", timings=QUICK)) as broker:
        await asyncio.to_thread(rabbitmq.set_memory_alarm, True)
        try:
            # The broker blocks a connection at its first publish; that one is confirmed when the alarm is over.
            first = asyncio.create_task(broker.publisher().publish([message(b"first")]))
            await eventually(lambda: not broker.ready, "unready")
            assert "blocked by the broker" in broker.reason
            with pytest.raises(Unavailable, match="blocked"):
                await broker.publisher().publish([message(b"second")])
        finally:
            await asyncio.to_thread(rabbitmq.set_memory_alarm, False)
        async with asyncio.timeout(20):
            await first
            await broker.until_ready()
        await broker.publisher().publish([message(b"third")])
        assert [got.body for got in await take_all(amqp_url, QUEUE)] == [b"first", b"third"]


async def test_cut_connection_fails_what_was_not_confirmed_and_later_publishes_succeed(amqp_url: str) -> None:
    async with Proxy(amqp_url) as proxy, ready(Broker(proxy.url, name="t", timings=QUICK)) as broker:
        proxy.swallow()
        tasks = [asyncio.create_task(broker.publisher().publish([each])) for each in numbered(50)]
        await asyncio.sleep(0.05)
        proxy.cut()
        ends = await asyncio.gather(*tasks, return_exceptions=True)
        assert [type(end) for end in ends] == [Unavailable] * 50
        proxy.heal()
        await _published_eventually(broker)
        assert len(await take_all(amqp_url, QUEUE)) == 1


async def test_socket_that_takes_nothing_holds_up_a_bounded_number(amqp_url: str) -> None:
    async with Proxy(amqp_url) as proxy, ready(Broker(proxy.url, name="t", timings=QUICK)) as broker:
        proxy.stall()
        body = b"x" * 8192
        tasks = [asyncio.create_task(broker.publisher().publish([message(body)])) for _ in range(3000)]
        await asyncio.sleep(0.3)
        assert not any(task.done() for task in tasks)
        for task in tasks[:500]:
            task.cancel()
        proxy.heal()
        ends = await asyncio.gather(*tasks, return_exceptions=True)
        assert ends[500:] == [None] * 2500


async def test_confirm_that_never_comes_ends_the_connection(amqp_url: str) -> None:
    timings = QUICK.__class__(**{**QUICK.__dict__, "confirm": 0.5})
    async with Proxy(amqp_url) as proxy, ready(Broker(proxy.url, name="t", timings=timings)) as broker:
        proxy.swallow()
        with pytest.raises(Unavailable):
            await asyncio.wait_for(broker.publisher().publish([message()]), 20)
        proxy.heal()
        await _published_eventually(broker)


async def test_stop_waits_for_confirms(amqp_url: str) -> None:
    async with ready(Broker(amqp_url, name="t", timings=QUICK)) as broker:
        tasks = [asyncio.create_task(broker.publisher().publish([each])) for each in numbered(500)]
        await asyncio.sleep(0)
    assert await asyncio.gather(*tasks, return_exceptions=True) == [None] * 500
    with pytest.raises(Unavailable):
        await broker.publisher().publish([message()])


async def _publish_without_end(broker: Broker) -> None:
    async with asyncio.timeout(30):
        while True:
            await broker.publisher().publish([message()])


async def _published_eventually(broker: Broker) -> None:
    """Publish as a caller would: again and again until it is confirmed."""
    async with asyncio.timeout(30):
        while True:
            try:
                await broker.publisher().publish([message(b"again")])
            except (Unavailable, Unroutable, Nacked):
                await asyncio.sleep(0.05)
            else:
                return
