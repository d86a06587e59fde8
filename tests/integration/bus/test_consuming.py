"""A consumer handles every message, in batches, whatever happens to its connection."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import pytest

from shared.bus import Broker, Delivery, Patience
from shared.bus.inbox import Inbox
from tests.integration.bus.support import (
    DEAD,
    PATIENT,
    QUEUE,
    QUICK,
    Recorder,
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


def bodies(start: int, end: int) -> set[bytes]:
    return {b"%d" % number for number in range(start, end)}


async def fill(url: str, count: int, start: int = 0) -> None:
    """Put numbered messages into the queue before anybody consumes."""
    async with ready(Broker(url, name="fill", timings=QUICK)) as broker:
        await broker.publisher().publish(numbered(count, start))


async def test_what_is_there_comes_in_batches_each_message_once(amqp_url: str) -> None:
    await fill(amqp_url, 1000)
    recorder = Recorder()
    broker = Broker(amqp_url, name="t", timings=QUICK)
    broker.consume(QUEUE, recorder, prefetch=400, batch_size=200)
    async with ready(broker):
        await eventually(lambda: len(recorder.bodies) == 1000, "all handled")
    assert sorted(recorder.bodies) == sorted(bodies(0, 1000))
    assert max(map(len, recorder.calls)) <= 200
    assert len(recorder.calls) < 200
    first = recorder.calls[0][0]
    assert (first.exchange, first.routing_key, first.redelivered) == ("calls", "call.ringing.v1.07", False)
    await becomes_ready(amqp_url, QUEUE, 0)


async def test_slow_handler_holds_no_more_than_the_prefetch(amqp_url: str) -> None:
    await fill(amqp_url, 50)
    go_on = asyncio.Event()
    recorder = Recorder(lambda _batch: go_on.wait())
    broker = Broker(amqp_url, name="t", timings=QUICK)
    broker.consume(QUEUE, recorder, prefetch=10, batch_size=5)
    async with ready(broker):
        await eventually(lambda: bool(recorder.attempts), "a batch in hand")
        await becomes_ready(amqp_url, QUEUE, 40)
        await asyncio.sleep(0.2)
        await becomes_ready(amqp_url, QUEUE, 40)
        go_on.set()
        await eventually(lambda: set(recorder.bodies) == bodies(0, 50), "all handled")


async def test_queue_deleted_under_the_consumer_is_declared_and_consumed_again(amqp_url: str) -> None:
    recorder = Recorder()
    broker = Broker(amqp_url, name="t", timings=QUICK)
    broker.consume(QUEUE, recorder)
    async with ready(broker):
        async with plain_channel(amqp_url) as channel:
            await channel.queue_delete(QUEUE)
        await eventually(lambda: not broker.ready, "unready")
        await eventually(lambda: broker.ready, "ready again")
        await broker.publisher().publish([message(b"after")])
        await eventually(lambda: recorder.bodies == [b"after"], "handled")


async def test_channel_closed_by_the_broker_is_opened_again(amqp_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    recorder = Recorder()
    broker = Broker(amqp_url, name="t", timings=QUICK)
    broker.consume(QUEUE, recorder)
    async with ready(broker):
        with monkeypatch.context() as patch:
            # An acknowledgement of what was never delivered: the broker closes the channel (PRECONDITION_FAILED).
            patch.setattr(Inbox, "done", lambda _self, _deliveries: [(999_999, False)])
            await broker.publisher().publish([message(b"twice")])
            await eventually(lambda: not broker.ready, "unready")
        await eventually(lambda: broker.ready and len(recorder.calls) >= 2, "consuming again")
    assert set(recorder.bodies) == {b"twice"}
    assert recorder.calls[-1][0].redelivered
    await becomes_ready(amqp_url, QUEUE, 0)


async def test_batch_whose_connection_is_cut_comes_again_message_by_message(amqp_url: str) -> None:
    await fill(amqp_url, 30)
    async with Proxy(amqp_url) as proxy:
        hang = asyncio.Event()

        def react(_batch: Sequence[Delivery]) -> object:
            return None if hang.is_set() else hang.wait()

        recorder = Recorder(react)
        broker = Broker(
            proxy.url,
            name="t",
            timings=QUICK,
        )
        broker.consume(QUEUE, recorder, patience=PATIENT)
        async with ready(broker):
            await eventually(lambda: sum(map(len, recorder.attempts)) > 0, "a batch in hand")
            first = len(recorder.attempts)
            proxy.cut()
            await eventually(lambda: not broker.ready, "unready")
            hang.set()
            await eventually(lambda: bodies(0, 30) <= set(recorder.bodies), "all handled")
        again = [call for call in recorder.attempts[first:] if call[0].redelivered]
        assert again
        assert all(len(call) == 1 for call in again)
    await becomes_ready(amqp_url, QUEUE, 0)
    await becomes_ready(amqp_url, DEAD, 0)


async def test_half_open_connection_is_noticed_and_replaced(amqp_url: str) -> None:
    timings = QUICK.__class__(**{**QUICK.__dict__, "heartbeat": 1})
    async with Proxy(amqp_url) as proxy:
        recorder = Recorder()
        broker = Broker(proxy.url, name="t", timings=timings)
        broker.consume(QUEUE, recorder)
        async with ready(broker):
            proxy.swallow()
            await eventually(lambda: not broker.ready, "unready")
            await eventually(lambda: "no AMQP handshake" in broker.reason, "a handshake that meets silence given up")
            proxy.heal()
            await eventually(lambda: broker.ready, "ready again")
            await broker.publisher().publish([message(b"after")])
            await eventually(lambda: recorder.bodies == [b"after"], "handled")


async def test_idle_connection_stays_up_by_heartbeats(amqp_url: str) -> None:
    timings = QUICK.__class__(**{**QUICK.__dict__, "heartbeat": 1})
    async with Proxy(amqp_url) as proxy:
        broker = Broker(proxy.url, name="t", timings=timings)
        broker.consume(QUEUE, Recorder())
        async with ready(broker):
            await asyncio.sleep(5)  # longer than the four seconds after which silence counts as loss
            assert (broker.ready, proxy.accepted) == (True, 2)


async def test_stop_finishes_what_was_received_and_leaves_the_rest_in_the_queue(amqp_url: str) -> None:
    await fill(amqp_url, 100)
    started = asyncio.Event()

    async def slowly(_batch: Sequence[Delivery]) -> None:
        started.set()
        await asyncio.sleep(0.2)

    recorder = Recorder(slowly)
    broker = Broker(amqp_url, name="t", timings=QUICK)
    broker.consume(QUEUE, recorder, prefetch=20, batch_size=10)
    async with ready(broker):
        await started.wait()
    rest = await take_all(amqp_url, QUEUE)
    assert len(recorder.bodies) >= 10
    assert set(recorder.bodies) | {got.body for got in rest} == bodies(0, 100)
    assert len(recorder.bodies) + len(rest) == 100  # nothing that was handled came back


async def test_handler_cut_off_by_the_deadline_is_not_poison(amqp_url: str) -> None:
    await fill(amqp_url, 3)
    recorder = Recorder(lambda _batch: asyncio.sleep(3600))
    broker = Broker(amqp_url, name="t", timings=QUICK, drain_seconds=0.2)
    broker.consume(QUEUE, recorder)
    async with ready(broker):
        await eventually(lambda: bool(recorder.attempts), "in hand")
    assert {got.body for got in await take_all(amqp_url, QUEUE)} == bodies(0, 3)
    await becomes_ready(amqp_url, DEAD, 0)


async def test_delivery_held_too_long_goes_back(amqp_url: str) -> None:
    await fill(amqp_url, 2)
    asked = Recorder()

    def react(batch: Sequence[Delivery]) -> None:
        if not batch[-1].redelivered:
            raise OSError("not the first time")

    asked = Recorder(react)
    broker = Broker(amqp_url, name="t", timings=QUICK)
    broker.consume(QUEUE, asked, patience=Patience(hold=0.5, retry_first=60, retry_cap=60))
    async with ready(broker):
        await eventually(lambda: set(asked.bodies) == bodies(0, 2), "handled when they came again")


async def test_consumers_of_two_queues_do_not_hold_each_other_up(amqp_url: str) -> None:
    await fill(amqp_url, 1)
    recorder = Recorder()
    stuck = Recorder(lambda _batch: asyncio.sleep(3600))
    broker = Broker(amqp_url, name="t", timings=QUICK, drain_seconds=0.2)
    broker.consume(QUEUE, stuck)
    broker.consume("history.requests", recorder)
    async with ready(broker):
        await eventually(lambda: bool(stuck.attempts), "in hand")
        await broker.publisher().publish([message(b"r")._replace(exchange="ingest", routing_key="request.rejected.v1")])
        await eventually(lambda: recorder.bodies == [b"r"], "handled")


async def test_broker_killed_and_started_again_loses_nothing_confirmed(own_rabbitmq: RabbitMQ) -> None:
    url = own_rabbitmq.amqp_url()
    recorder = Recorder()
    broker = Broker(url, name="t", timings=QUICK)
    broker.consume(QUEUE, recorder, patience=PATIENT)
    confirmed: list[int] = []

    async def keep_publishing() -> None:
        number = 0
        while True:
            number += 1
            try:
                await broker.publisher().publish([message(b"%d" % number)])
            except Exception:
                await asyncio.sleep(0.05)
            else:
                confirmed.append(number)

    async with ready(broker):
        await asyncio.sleep(2)  # RabbitMQ forgets a quorum queue that was declared just before a kill
        publishing = asyncio.create_task(keep_publishing())
        await eventually(lambda: len(confirmed) > 100, "publishing")
        await asyncio.to_thread(own_rabbitmq.kill)
        await eventually(lambda: not broker.ready, "unready")
        before = len(confirmed)
        await asyncio.to_thread(own_rabbitmq.start)
        await eventually(lambda: len(confirmed) > before + 100, "publishing again")
        publishing.cancel()
        await asyncio.gather(publishing, return_exceptions=True)
        await eventually(lambda: {b"%d" % number for number in confirmed} <= set(recorder.bodies), "all handled")
    await becomes_ready(url, DEAD, 0)
