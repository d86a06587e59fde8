"""The fate of a message: handled, tried again, or dead with its reason; and what can be done with the dead."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace

import pytest
from prometheus_client import REGISTRY

from shared.bus import Broker, Delivery, Unroutable
from shared.bus.dead import DeadLetters, NoDeadQueue
from shared.errors import Permanent, Transient
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
)
from tests.support.proxy import Proxy


def history(url: str, recorder: Recorder, patience: object = PATIENT, **more: object) -> Broker:
    broker = Broker(url, name="t", timings=QUICK)
    broker.consume(QUEUE, recorder, patience=patience, **more)  # type: ignore[arg-type]
    return broker


def refuse(*bodies: bytes, error: type[Exception] = Permanent) -> Recorder:
    """A handler that raises `error` for any batch that holds one of `bodies`."""

    def react(batch: Sequence[Delivery]) -> None:
        for delivery in batch:
            if delivery.body in bodies:
                raise error(f"can't take {delivery.body!r}")

    return Recorder(react)


async def test_poison_is_dead_with_its_reason_and_those_around_it_are_handled(amqp_url: str) -> None:
    recorder = refuse(b"7")
    sent = numbered(100)
    async with ready(history(amqp_url, recorder)) as broker:
        await broker.publisher().publish(sent)
        await eventually(lambda: len(recorder.bodies) == 99, "the healthy handled")
        await becomes_ready(amqp_url, DEAD, 1)
    (dead,) = await DeadLetters(amqp_url, "history").list()
    assert dead._replace(dead_at="") == dead._replace(
        message_id=sent[7].message_id,
        reason="permanent",
        error="Permanent: can't take b'7'",
        source_queue=QUEUE,
        delivery_count=0,
        dead_at="",
        exchange="calls",
        routing_key="call.ringing.v1.07",
        content_type="application/cloudevents+json",
        size=1,
    )
    assert dead.dead_at.endswith("+00:00")
    assert Counter(recorder.bodies) == Counter({b"%d" % number: 1 for number in range(100) if number != 7})


async def test_looking_at_dead_letters_changes_nothing(amqp_url: str) -> None:
    recorder = refuse(b"0", b"1", b"2")
    async with ready(history(amqp_url, recorder)) as broker:
        sent = numbered(3)
        await broker.publisher().publish(sent)
        await becomes_ready(amqp_url, DEAD, 3)
    dead = DeadLetters(amqp_url, "history")
    for _ in range(25):  # more often than the delivery limit that 4.x sets where nothing is said
        assert {letter.message_id for letter in await dead.list()} == {each.message_id for each in sent}
    assert len(await dead.list(limit=2)) == 2
    shown = await dead.show(sent[1].message_id)
    assert shown is not None
    assert (shown.body, shown.reason) == ("1", "permanent")
    assert await dead.show("unknown") is None
    await becomes_ready(amqp_url, DEAD, 3)


async def test_replay_goes_to_the_one_queue_and_drop_deletes(amqp_url: str) -> None:
    sent = numbered(3)
    async with ready(history(amqp_url, refuse(b"0", b"1", b"2"))) as broker:
        async with plain_channel(amqp_url) as channel:
            await channel.queue_declare("another")
            await channel.queue_bind("another", "calls", "#")
        await broker.publisher().publish(sent)
        await becomes_ready(amqp_url, DEAD, 3)
    dead = DeadLetters(amqp_url, "history")
    assert await dead.replay({sent[0].message_id}) == 1
    assert await dead.drop({sent[1].message_id}) == 1
    assert await dead.drop({"unknown"}) == 0
    assert [letter.message_id for letter in await dead.list()] == [sent[2].message_id]
    await becomes_ready(amqp_url, "another", 3)  # the three of the beginning
    recorder = Recorder()
    async with ready(history(amqp_url, recorder)):
        await eventually(lambda: recorder.bodies == [b"0"], "the replayed handled")
        got = recorder.calls[0][0]
        assert (got.message_id, got.exchange, got.routing_key) == (sent[0].message_id, "calls", "call.ringing.v1.07")
        assert await dead.replay() == 1
        await eventually(lambda: recorder.bodies == [b"0", b"2"], "the other one too")
    assert await dead.list() == ()


async def test_dead_letter_whose_queue_is_gone_stays(amqp_url: str) -> None:
    async with ready(history(amqp_url, refuse(b"x"))) as broker:
        await broker.publisher().publish([message(b"x")])
        await becomes_ready(amqp_url, DEAD, 1)
    async with plain_channel(amqp_url) as channel:
        await channel.queue_delete(QUEUE)
    dead = DeadLetters(amqp_url, "history")
    with pytest.raises(Unroutable):
        await dead.replay()
    await becomes_ready(amqp_url, DEAD, 1)


async def test_service_without_a_dead_queue_is_named(amqp_url: str) -> None:
    with pytest.raises(NoDeadQueue, match=r"nobody\.dead"):
        await DeadLetters(amqp_url, "nobody").list()


async def test_batch_that_fails_is_tried_message_by_message_before_anything_dies(amqp_url: str) -> None:
    recorder = Recorder(lambda batch: _raise_unless(len(batch) == 1, ValueError))
    async with ready(history(amqp_url, recorder)) as broker:
        await broker.publisher().publish(numbered(50))
        await eventually(lambda: len(recorder.bodies) == 50, "all handled")
    await becomes_ready(amqp_url, DEAD, 0)
    await becomes_ready(amqp_url, QUEUE, 0)


async def test_what_fails_ten_times_is_dead_and_holds_nobody_up(amqp_url: str) -> None:
    recorder = refuse(b"bug", error=ValueError)
    async with ready(history(amqp_url, recorder)) as broker:
        await broker.publisher().publish([message(b"bug"), *numbered(20)])
        await becomes_ready(amqp_url, DEAD, 1)
        assert len(recorder.bodies) == 20
    alone = [attempt for attempt in recorder.attempts if [delivery.body for delivery in attempt] == [b"bug"]]
    assert len(alone) == 10
    (dead,) = await DeadLetters(amqp_url, "history").list()
    assert (dead.reason, dead.error) == ("failed_repeatedly", "ValueError: can't take b'bug'")


async def test_nothing_dies_while_dependencies_are_away(amqp_url: str) -> None:
    away = asyncio.Event()
    away.set()

    async def probe() -> bool:
        return not away.is_set()

    recorder = Recorder(lambda _batch: _raise_unless(not away.is_set(), OSError))
    async with ready(history(amqp_url, recorder, dependencies=probe)) as broker:
        await broker.publisher().publish(numbered(5))
        await eventually(lambda: len(recorder.attempts) > 60, "tried more than ten times each")
        assert (broker.ready, broker.reason) == (False, f"{QUEUE}: can't handle messages now: OSError")
        away.clear()
        await eventually(lambda: len(set(recorder.bodies)) == 5 and broker.ready, "handled")
    await becomes_ready(amqp_url, DEAD, 0)


async def test_transient_failure_of_all_pauses_gives_the_messages_back_and_resumes(amqp_url: str) -> None:
    away = asyncio.Event()
    away.set()

    async def probe() -> bool:
        return not away.is_set()

    recorder = Recorder(lambda _batch: _raise_unless(not away.is_set(), Transient))
    patience = replace(PATIENT, pause_after=0.3)
    async with ready(history(amqp_url, recorder, patience, dependencies=probe)) as broker:
        await broker.publisher().publish(numbered(30))
        await eventually(lambda: "paused" in broker.reason, "paused")
        assert broker.reason == f"{QUEUE}: paused; can't handle messages now: Transient"
        assert paused() == 1
        await becomes_ready(amqp_url, QUEUE, 30)
        tried = len(recorder.attempts)
        await asyncio.sleep(0.5)
        assert len(recorder.attempts) == tried
        away.clear()
        await eventually(lambda: len(recorder.bodies) == 30 and broker.ready, "handled")
        assert paused() == 0
    assert Counter(recorder.bodies) == Counter({b"%d" % number: 1 for number in range(30)})
    await becomes_ready(amqp_url, DEAD, 0)


async def test_pause_ends_with_its_connection(amqp_url: str) -> None:
    async def probe() -> bool:
        return False

    recorder = Recorder(lambda _batch: _raise_unless(False, Transient))
    async with Proxy(amqp_url) as proxy:
        broker = history(proxy.url, recorder, replace(PATIENT, pause_after=0.1), dependencies=probe)
        async with ready(broker):
            await broker.publisher().publish([message()])
            await eventually(lambda: paused() == 1, "paused")
            proxy.swallow()
            proxy.cut()
            await eventually(lambda: paused() == 0, "no longer paused, but unconnected")
            assert not broker.ready


async def test_full_disk_that_a_probe_does_not_see_makes_nothing_poison(amqp_url: str) -> None:
    full = asyncio.Event()
    full.set()
    recorder = Recorder(lambda _batch: _raise_unless(not full.is_set(), Transient))
    patience = replace(PATIENT, pause_after=0.3, idle_cap=0.1)
    async with ready(history(amqp_url, recorder, patience)) as broker:
        await broker.publisher().publish(numbered(3))
        await eventually(lambda: len(recorder.attempts) > 35, "tried often, over several pauses")
        full.clear()
        await eventually(lambda: len(set(recorder.bodies)) == 3 and broker.ready, "handled")
    await becomes_ready(amqp_url, DEAD, 0)


async def test_transient_failure_of_one_message_does_not_hold_up_the_others_and_ends_as_poison(amqp_url: str) -> None:
    recorder = refuse(b"stuck", error=Transient)
    async with ready(history(amqp_url, recorder)) as broker:
        await broker.publisher().publish([message(b"stuck")])
        feeding = asyncio.create_task(_feed(broker))
        await becomes_ready(amqp_url, DEAD, 1)
        feeding.cancel()
        await asyncio.gather(feeding, return_exceptions=True)
        assert len(recorder.bodies) > 10


async def test_cancellation_from_within_the_handler_is_a_failure_like_any_other(amqp_url: str) -> None:
    async def cancelled_within() -> None:
        lost = asyncio.get_running_loop().create_future()
        lost.cancel()
        await lost

    recorder = Recorder(lambda batch: cancelled_within() if batch[0].body == b"odd" else None)
    async with ready(history(amqp_url, recorder)) as broker:
        await broker.publisher().publish([message(b"odd")])
        await becomes_ready(amqp_url, DEAD, 1)
        await broker.publisher().publish([message(b"next")])
        await eventually(lambda: recorder.bodies == [b"next"], "handled")


async def test_pause_asked_for_is_kept(amqp_url: str) -> None:
    class Busy(Transient):
        def __init__(self, _text: str) -> None:
            super().__init__("busy", retry_after_seconds=1.0)

    recorder = Recorder(lambda batch: _raise_unless(len(recorder.attempts) > 1, Busy))
    loop = asyncio.get_running_loop()
    async with ready(history(amqp_url, recorder)) as broker:
        started = loop.time()
        await broker.publisher().publish([message(b"1")])
        await eventually(lambda: recorder.bodies == [b"1"], "handled")
        assert loop.time() - started >= 1.0


async def test_poison_waits_for_its_dead_queue_and_the_others_do_not(amqp_url: str) -> None:
    recorder = refuse(b"bad")
    async with ready(history(amqp_url, recorder)) as broker:
        async with plain_channel(amqp_url) as channel:
            await channel.queue_delete(DEAD)
        await broker.publisher().publish([message(b"bad"), *numbered(20)])
        await eventually(lambda: len(recorder.bodies) == 20, "the healthy handled")
        await eventually(lambda: broker.ready, "ready")
        await asyncio.sleep(0.5)
    dead = DeadLetters(amqp_url, "history")
    assert [letter.reason for letter in await dead.list()] == ["permanent"]
    await becomes_ready(amqp_url, QUEUE, 0)


async def test_notes_that_cannot_be_cleared_do_not_make_a_survivor_look_like_a_killer(amqp_url: str) -> None:
    class Uncleared:
        notes = 0

        async def note(self, _message_id: str) -> int:
            self.notes += 1
            return self.notes

        async def clear(self, _message_id: str) -> None:
            raise OSError("the database has just gone")

    recorder = Recorder(lambda _batch: _raise_unless(len(recorder.attempts) > 6, Transient))
    patience = replace(PATIENT, suspect_from=1)
    async with ready(history(amqp_url, recorder, patience, suspects=Uncleared())) as broker:
        await broker.publisher().publish([message(b"healthy")])
        await eventually(lambda: recorder.bodies == [b"healthy"], "handled")
    await becomes_ready(amqp_url, DEAD, 0)


def paused() -> float | None:
    return REGISTRY.get_sample_value("bus_consumer_paused", {"queue": QUEUE})


def _raise_unless(well: bool, error: type[Exception]) -> None:
    if not well:
        raise error("not now")


async def _feed(broker: Broker) -> None:
    while True:
        await broker.publisher().publish([message(b"healthy")])
        await asyncio.sleep(0.01)
