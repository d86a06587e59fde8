"""The topology says what it must about every queue."""

from __future__ import annotations

from shared.bus.topology import EVERYTHING, TOPOLOGY


def test_every_queue_that_loses_nothing_is_a_quorum_queue_with_a_limit_no_healthy_message_meets() -> None:
    for queue in EVERYTHING.queues:
        if queue.arguments["x-queue-type"] != "stream":
            assert queue.arguments["x-queue-type"] == "quorum", queue.name
            assert queue.arguments["x-delivery-limit"] >= 10_000, queue.name


def test_only_rejected_requests_may_be_dropped_and_nothing_dead_letters_by_itself() -> None:
    assert [queue.name for queue in EVERYTHING.queues if "x-max-length" in queue.arguments] == ["history.requests"]
    assert not [queue for queue in EVERYTHING.queues if "x-dead-letter-exchange" in queue.arguments]


def test_sixteen_webhook_queues_share_out_the_shards() -> None:
    queues = [queue for queue in EVERYTHING.queues if queue.name.startswith("webhooks.calls.")]
    assert [queue.bindings for queue in queues] == [(("calls", f"call.*.*.{shard:02d}"),) for shard in range(16)]
    assert all(queue.arguments["x-single-active-consumer"] for queue in queues)


def test_only_queues_of_deployed_services_exist_and_all_exchanges_do() -> None:
    assert [queue.name for queue in TOPOLOGY.queues] == ["history.calls", "history.requests", "history.dead"]
    assert TOPOLOGY.exchanges == ("calls", "ingest")
    assert EVERYTHING.for_services({"routing"}).queues[0].bindings == (("calls", "call.#"), ("calls", "agent.#"))


def test_every_consuming_service_has_a_dead_queue() -> None:
    services = {queue.service for queue in EVERYTHING.queues}
    assert {f"{service}.dead" for service in services} <= {queue.name for queue in EVERYTHING.queues}
