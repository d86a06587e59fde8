"""Telecube's calls from their first request to their last."""

from datetime import UTC, datetime

import pytest

from services.ingest.adapter import Mapped, Request
from services.ingest.providers.telecube import ADAPTER
from shared.call import Call
from shared.events import Direction, Raw
from tests.unit.ingest import stories

BASE = {"uniqueid": "1772442904.118", "caller": "220000101", "called": "220000900"}

STORIES = {
    "one phone is answered": """
        0   call_start  extension=10
        =>  ringing
        60  call_end    extension=10 status=ANSWERED billsec=55
        =>  ended answered by 10
            - 10 ended answered
    """,
    "one phone, nobody answers": """
        0   call_start  extension=10
        20  call_end    extension=10 status="NO ANSWER"
        =>  ended missed
    """,
    "one phone is busy": """
        0   call_start  extension=10
        1   call_end    extension=10 status=BUSY
        =>  ended busy
    """,
    "a call that names no extension": """
        0   call_start
        =>  ringing
        9   call_end    status=FAILED
        =>  ended failed for good
    """,
    "a phone rings, the call itself ends": """
        0   call_start  extension=10
        9   call_end    status=ANSWERED
        =>  ended answered for good
            - 10 ended canceled
    """,
    "without a queue: the next phone brings the call back": """
        0   call_start  extension=10
        15  call_end    extension=10 status="NO ANSWER"
        =>  ended missed
        16  call_start  extension=20
        =>  ringing
        60  call_end    extension=20 status=ANSWERED
        =>  ended answered by 20
            - 10 ended missed
            - 20 ended answered
    """,
    "a queue whose phones ring one after another lives on between them": """
        0   queue_start queue=sales
        =>  ringing
        2   call_start  extension=10
        17  call_end    extension=10 status="NO ANSWER"
        =>  ringing
            - 10 ended missed
        40  call_start  extension=20
        =>  ringing
        90  call_end    extension=20 status=ANSWERED
        =>  ringing by 20
        91  queue_hangup
        =>  ended answered for good by 20
            - 10 ended missed
            - 20 ended answered
    """,
    "a queue whose phones ring together": """
        0   queue_start queue=sales
        1   call_start  extension=10
        1   call_start  extension=20
        1   call_start  extension=30
        5   call_end    extension=10 status="NO ANSWER"
        5   call_end    extension=30 status=BUSY
        =>  ringing
            - 10 ended missed
            - 20 ringing
            - 30 ended busy
        60  call_end    extension=20 status=ANSWERED
        60  queue_hangup
        =>  ended answered for good by 20
    """,
    "a queue comes round to the same phone": """
        0   queue_start queue=sales
        1   call_start  extension=10
        16  call_end    extension=10 status="NO ANSWER"
        25  call_start  extension=10
        =>  ringing
            - 10 ringing
        70  call_end    extension=10 status=ANSWERED duration=40
        71  queue_hangup
        =>  ended answered for good by 10
    """,
    "a queue that nobody answers": """
        0   queue_start queue=sales
        1   call_start  extension=10
        16  call_end    extension=10 status="NO ANSWER"
        18  queue_hangup queue=sales
        =>  ended missed for good
    """,
    "a queue in which no phone even rang": """
        0   queue_start queue=sales
        30  queue_hangup queue=sales
        =>  ended missed for good
    """,
    "the hang-up of the queue overtakes the end of the leg that was answered": """
        0   queue_start queue=sales
        1   call_start  extension=10
        60  queue_hangup queue=sales
        =>  ended missed for good
        61  call_end    extension=10 status=ANSWERED
        =>  ended answered for good by 10
    """,
    "a queue that says nobody answered, a leg that was": """
        0   queue_start queue=sales
        1   call_start  extension=10
        60  call_end    extension=10 status=ANSWERED
        61  queue_hangup status="NO ANSWER"
        =>  ended answered for good by 10
    """,
    "a queue with a status that we do not know, and an answered leg": """
        0   queue_start queue=sales
        60  call_end    extension=10 status=ANSWERED
        61  queue_hangup status=TRANSFERRED
        =>  ended answered for good by 10
    """,
    "a queue whose phones have no names": """
        0   queue_start queue=sales
        60  call_end    status=ANSWERED
        61  queue_hangup
        =>  ended answered for good
    """,
    "the phones that never hear of the end": """
        0   queue_start queue=sales
        1   call_start  extension=10
        1   call_start  extension=20
        60  call_end    extension=20 status=ANSWERED
        61  queue_hangup
        =>  ended answered for good by 20
            - 10 ended canceled
            - 20 ended answered
    """,
    "the start comes after the end": """
        1   call_end    extension=10 status=BUSY
        2   call_start  extension=10
        =>  ended busy
    """,
    "only the end of a queue": """
        0   queue_hangup queue=sales
        =>  ended missed for good
    """,
    "a status that we do not know": """
        0   call_start  extension=10
        9   call_end    extension=10 status=CONGESTION
        =>  ended unknown
    """,
}


@pytest.mark.parametrize("name", STORIES)
def test_call_looks_as_told(name: str) -> None:
    stories.check_claims(ADAPTER, STORIES[name], BASE)


@pytest.mark.parametrize("name", STORIES)
def test_order_of_arrival_and_repeats_do_not_matter(name: str) -> None:
    stories.check_order_and_repeats(ADAPTER, STORIES[name], BASE)


@pytest.mark.parametrize("name", STORIES)
def test_retries_change_nothing(name: str) -> None:
    stories.check_retries(ADAPTER, STORIES[name], BASE)


def test_an_end_that_is_sent_again_much_later_is_the_same_event_and_a_ring_is_not() -> None:
    ring, end = stories.Said(0, "call_start", BASE), stories.Said(9, "call_end", {**BASE, "status": "BUSY"})

    assert stories.event_of(ADAPTER, end).id == stories.event_of(ADAPTER, end.repeated(3600)).id
    assert stories.event_of(ADAPTER, ring).id != stories.event_of(ADAPTER, ring.repeated(10)).id


@pytest.mark.parametrize("event", ["queue_start", "call_start", "call_end", "queue_hangup"])
def test_requests_that_differ_in_one_field_are_two_events(event: str) -> None:
    one, other = stories.Said(0, event, BASE), stories.Said(0, event, {**BASE, "note": "x"})

    assert stories.event_of(ADAPTER, one).id != stories.event_of(ADAPTER, other).id


def test_talk_time_of_a_call_is_that_of_its_legs() -> None:
    call = stories.call_of(
        ADAPTER,
        """
        0   queue_start queue=sales
        1   call_start  extension=10
        40  call_end    extension=10 status=ANSWERED billsec=30 duration=39
        41  call_start  extension=20
        90  call_end    extension=20 status=ANSWERED duration=20
        91  queue_hangup billsec=91 duration=91
        =>  ended answered for good by 20
        """,
        BASE,
    )

    assert call.talk_seconds == 50


def test_what_a_call_is_stays_what_its_first_event_said() -> None:
    call = stories.call_of(
        ADAPTER,
        """
        0   queue_start queue=sales
        1   call_start  caller=800 called=10 extension=10
        9   call_end    caller=800 called=10 extension=10 status=ANSWERED
        =>  ringing by 10
        """,
        BASE,
    )

    assert (call.direction, call.queue) == (Direction.INCOMING, "sales")
    assert call.from_ is not None
    assert call.from_.e164 == "+48220000101"
    assert call.did is not None
    assert call.did.e164 == "+48220000900"


def mapped(**fields: str) -> Mapped:
    request = Request(stories.channel(ADAPTER), {**BASE, **fields}, stories.START, "r", Raw())
    return ADAPTER.to_events(request)


def test_a_live_event_tells_when_it_was_sent_and_a_record_does_not() -> None:
    sent_at = datetime(2026, 3, 2, 9, 14, 58, tzinfo=UTC)

    assert mapped(event="queue_start", timestamp="1772442898").sent_at == sent_at
    assert mapped(event="call_start", timestamp="2026-03-02 10:14:58").sent_at == sent_at
    assert mapped(event="call_start", calldate="2026-03-02 10:14:58").sent_at is None
    assert mapped(event="call_end", timestamp="1772442898").sent_at is None


def test_events_are_ordered_by_our_clock_whatever_time_they_tell() -> None:
    [event] = mapped(event="call_start", timestamp="1772442000", calldate="2026-03-02 10:00:00").events

    assert event.time == event.receivedat == stories.START
    assert Call.of([event]).started_at == datetime(2026, 3, 2, 9, 0, tzinfo=UTC)
