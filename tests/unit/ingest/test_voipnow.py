"""VoipNow's calls from their first request to their last."""

from datetime import UTC, datetime, timedelta
from urllib.parse import urlencode

import pytest

from services.ingest.adapter import Mapped, Request
from services.ingest.intake import Arrival, Intake
from services.ingest.providers.voipnow import ADAPTER
from shared.call import Call
from shared.events import CallEnded, Direction, Outcome, Raw
from tests.unit.ingest import stories
from tests.unit.ingest.test_providers import Silent

BASE = {"CallID": "7c1e0b42d9", "CallerIDNum": "+48601000101", "CalledDID": "220000900", "CallAPIID": "88-7c1e"}

STORIES = {
    "an incoming call to one phone": """
        0   dial-in     CalledExtension=0007*101 CallFlow=IN CallStatus=CALLING
        =>  ringing
        4   answer-in   CalledExtension=0007*101 CallFlow=IN CallStatus=ANSWER
        =>  in_progress by 0007*101
        64  hangup      CalledExtension=0007*101 CallFlow=IN CallStatus=ANSWER
        =>  ended answered by 0007*101
            - 0007*101 ended answered
    """,
    "nobody answers": """
        0   dial-in     CalledExtension=0007*101 CallFlow=IN CallStatus=CALLING
        20  hangup      CalledExtension=0007*101 CallFlow=IN CallStatus=NOANSWER
        =>  ended missed
    """,
    "the caller gives up": """
        0   dial-in     CalledExtension=0007*101 CallFlow=IN CallStatus=CALLING
        3   hangup      CalledExtension=0007*101 CallFlow=IN CallStatus=CANCEL
        =>  ended canceled
    """,
    "an outgoing call": """
        0   dial-out    CallerExtension=0007*101 CalledNumber=601000101 CallFlow=OUT CallStatus=CALLING
        =>  ringing
        6   answer-out  CallerExtension=0007*101 CalledNumber=601000101 CallFlow=OUT CallStatus=ANSWER
        =>  in_progress by 0007*101
        30  hangup      CallerExtension=0007*101 CalledNumber=601000101 CallFlow=OUT CallStatus=ANSWER
        =>  ended answered by 0007*101
    """,
    "an outgoing call to a number that is not known": """
        0   dial-out    CallerExtension=0007*101 CalledNumber=601000101 CallFlow=OUT CallStatus=CALLING
        1   hangup      CallerExtension=0007*101 CalledNumber=601000101 CallFlow=OUT CallStatus=CONGESTION
        =>  ended failed
    """,
    "colleagues": """
        0   dial-out    CallerExtension=0007*101 CalledExtension=0007*102 CallFlow=OUT CallStatus=CALLING
        0   dial-in     CallerExtension=0007*101 CalledExtension=0007*102 CallFlow=IN CallStatus=CALLING
        3   answer-in   CallerExtension=0007*101 CalledExtension=0007*102 CallFlow=IN CallStatus=ANSWER
        3   answer-out  CallerExtension=0007*101 CalledExtension=0007*102 CallFlow=OUT CallStatus=ANSWER
        9   hangup      CallerExtension=0007*101 CalledExtension=0007*102 CallFlow=IN CallStatus=ANSWER
        =>  in_progress by 0007*101
        9   hangup      CallerExtension=0007*101 CalledExtension=0007*102 CallFlow=OUT CallStatus=ANSWER
        =>  ended answered by 0007*102
            - 0007*101 ended answered
            - 0007*102 ended answered
    """,
    "a queue rings five phones, one answers": """
        0   dial-in     CalledExtension=0007*300 CallFlow=IN CallStatus=CALLING
        1   dial-in     CalledExtension=0007*101 CallFlow=IN CallStatus=CALLING
        1   dial-in     CalledExtension=0007*102 CallFlow=IN CallStatus=CALLING
        1   dial-in     CalledExtension=0007*103 CallFlow=IN CallStatus=CALLING
        1   dial-in     CalledExtension=0007*104 CallFlow=IN CallStatus=CALLING
        1   dial-in     CalledExtension=0007*105 CallFlow=IN CallStatus=CALLING
        2   hangup      CalledExtension=0007*105 CallFlow=IN CallStatus=CHANUNAVAIL
        =>  ringing
        5   answer-in   CalledExtension=0007*102 CallFlow=IN CallStatus=ANSWER
        5   hangup      CalledExtension=0007*101 CallFlow=IN CallStatus=CANCEL
        5   hangup      CalledExtension=0007*103 CallFlow=IN CallStatus=NOANSWER
        5   hangup      CalledExtension=0007*104 CallFlow=IN CallStatus=BUSY
        =>  in_progress by 0007*102
        65  hangup      CalledExtension=0007*102 CallFlow=IN CallStatus=ANSWER
        =>  in_progress by 0007*102
        65  hangup      CalledExtension=0007*300 CallFlow=IN CallStatus=CANCEL
        =>  ended answered by 0007*102
            - 0007*300 ended canceled
            - 0007*101 ended canceled
            - 0007*102 ended answered
            - 0007*103 ended missed
            - 0007*104 ended busy
            - 0007*105 ended failed
    """,
    "a queue keeps its call alive between its phones": """
        0   dial-in     CalledExtension=0007*300 CallFlow=IN CallStatus=CALLING
        1   dial-in     CalledExtension=0007*101 CallFlow=IN CallStatus=CALLING
        16  hangup      CalledExtension=0007*101 CallFlow=IN CallStatus=NOANSWER
        =>  ringing
        30  dial-in     CalledExtension=0007*101 CallFlow=IN CallStatus=CALLING
        45  hangup      CalledExtension=0007*101 CallFlow=IN CallStatus=NOANSWER
        =>  ringing
        50  hangup      CalledExtension=0007*300 CallFlow=IN CallStatus=NOANSWER
        =>  ended missed
            - 0007*300 ended missed
            - 0007*101 ended missed
    """,
    "hunting without a queue comes back": """
        0   dial-in     CalledExtension=0007*101 CallFlow=IN CallStatus=CALLING
        15  hangup      CalledExtension=0007*101 CallFlow=IN CallStatus=NOANSWER
        =>  ended missed
        16  dial-in     CalledExtension=0007*102 CallFlow=IN CallStatus=CALLING
        =>  ringing
        19  answer-in   CalledExtension=0007*102 CallFlow=IN CallStatus=ANSWER
        40  hangup      CalledExtension=0007*102 CallFlow=IN CallStatus=ANSWER
        =>  ended answered by 0007*102
    """,
    "a transfer: the second phone has the call": """
        0   dial-in     CalledExtension=0007*101 CallFlow=IN CallStatus=CALLING
        4   answer-in   CalledExtension=0007*101 CallFlow=IN CallStatus=ANSWER
        30  dial-in     CalledExtension=0007*102 CallerExtension=0007*101 CallFlow=IN CallStatus=CALLING
        34  answer-in   CalledExtension=0007*102 CallerExtension=0007*101 CallFlow=IN CallStatus=ANSWER
        34  hangup      CalledExtension=0007*101 CallFlow=IN CallStatus=ANSWER
        =>  in_progress by 0007*102
        90  hangup      CalledExtension=0007*102 CallerExtension=0007*101 CallFlow=IN CallStatus=ANSWER
        =>  ended answered by 0007*102
    """,
    "an old version says UNKNOWN of a call that was answered": """
        0   dial-in     CalledExtension=0007*101 CallFlow=IN CallStatus=CALLING
        4   answer-in   CalledExtension=0007*101 CallFlow=IN
        9   hangup      CalledExtension=0007*101 CallFlow=IN CallStatus=UNKNOWN
        =>  ended answered by 0007*101
    """,
    "an old version says UNKNOWN of a call that nobody was heard to answer": """
        0   dial-in     CalledExtension=0007*101 CallFlow=IN CallStatus=CALLING
        9   hangup      CalledExtension=0007*101 CallFlow=IN CallStatus=UNKNOWN
        =>  ended unknown
    """,
    "only the hang-up was set up": """
        9   hangup      CalledExtension=0007*101 CallFlow=IN CallStatus=ANSWER
        =>  ended answered by 0007*101
    """,
    "the end overtakes the ring": """
        1   hangup      CalledExtension=0007*101 CallFlow=IN CallStatus=CANCEL
        2   dial-in     CalledExtension=0007*101 CallFlow=IN CallStatus=CALLING
        =>  ended canceled
    """,
    "a ring that names no extension ends with the leg that does": """
        0   dial-in     CalledNumber=220000900 CallFlow=IN CallStatus=CALLING
        =>  ringing
        9   hangup      CalledExtension=0007*101 CallFlow=IN CallStatus=NOANSWER
        =>  ended missed
    """,
    "nothing names an extension": """
        0   dial-in
        4   answer-in
        =>  in_progress
        9   hangup      CallStatus=ANSWER
        =>  ended answered for good
    """,
    "a derivative's queue picks up, and no person does": """
        0   dial-in     CalledExtension=0007*300@pbx.example CallFlow=in CallStatus=CALLING
        1   answer-in   CalledExtension=0007*300@pbx.example CallFlow=in CallStatus=ANSWER
        1   dial-in     CalledExtension=0007*101@pbx.example CallFlow=in CallStatus=CALLING
        16  hangup      CalledExtension=0007*101@pbx.example CallFlow=in CallStatus=NOANSWER
        20  hangup      CalledExtension=0007*300@pbx.example CallFlow=in CallStatus=ANSWER Bridged=no
        =>  ended missed by 0007*300
            - 0007*300 ended missed
            - 0007*101 ended missed
    """,
    "a derivative's queue picks up, and a person too": """
        0   dial-in     CalledExtension=0007*300@pbx.example CallFlow=in CallStatus=CALLING
        1   dial-in     CalledExtension=0007*101@pbx.example CallFlow=in CallStatus=CALLING
        4   answer-in   CalledExtension=0007*101@pbx.example CallFlow=in CallStatus=ANSWER
        30  hangup      CalledExtension=0007*101@pbx.example CallFlow=in CallStatus=ANSWER
        30  hangup      CalledExtension=0007*300@pbx.example CallFlow=in CallStatus=CANCEL Bridged=yes
        =>  ended answered by 0007*101
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


def said(event: str, seconds: float = 0, **fields: str) -> stories.Said:
    return stories.Said(seconds, event, {**BASE, "CalledExtension": "0007*101", **fields})


def mapped(event: str, **fields: str) -> Mapped:
    """Return what comes of a request with these fields and no others."""
    arrival = Arrival("POST", "", "", urlencode(fields).encode(), stories.START, "r", None)
    return Intake(Silent()).read(arrival, ADAPTER, stories.channel(ADAPTER), event)


def test_the_same_words_at_another_url_are_another_event() -> None:
    # An answer and the end of an answered call may differ in nothing but the URL.
    ids = {stories.event_of(ADAPTER, said(event, CallStatus="ANSWER")).id for event in ADAPTER.path_events}

    assert len(ids) == len(ADAPTER.path_events)


@pytest.mark.parametrize("event", ADAPTER.path_events)
def test_requests_that_differ_in_one_field_are_two_events(event: str) -> None:
    assert stories.event_of(ADAPTER, said(event)).id != stories.event_of(ADAPTER, said(event, CallAPIID="89")).id


@pytest.mark.parametrize("event", ADAPTER.path_events)
def test_the_same_words_much_later_are_another_event_unless_they_tell_a_time(event: str) -> None:
    silent, timed = said(event), said(event, EventTime="1772442900000000")

    assert stories.event_of(ADAPTER, silent).id != stories.event_of(ADAPTER, silent.repeated(60)).id
    assert stories.event_of(ADAPTER, timed).id == stories.event_of(ADAPTER, timed.repeated(60)).id


def test_a_phone_that_rings_again_in_the_same_words_rings_again() -> None:
    call = stories.call_of(
        ADAPTER,
        """
        0   dial-in     CalledExtension=0007*101 CallStatus=CALLING
        15  hangup      CalledExtension=0007*101 CallStatus=NOANSWER
        40  dial-in     CalledExtension=0007*101 CallStatus=CALLING
        55  hangup      CalledExtension=0007*101 CallStatus=NOANSWER
        =>  ended missed
        """,
        BASE,
    )

    assert call.ended_at == stories.START + timedelta(seconds=55)
    assert call.events == 4


DIRECTIONS = {
    "a public caller": ("dial-in", {"CallerIDNum": "601000101", "CalledExtension": "0007*101"}, "incoming"),
    "the company's public number": ("dial-in", {"CallerIDNum": "102", "CalledDID": "220000900"}, "incoming"),
    "a hidden caller": ("dial-in", {"CallerIDNum": "anonymous", "CalledExtension": "0007*101"}, "incoming"),
    "a hidden caller, said by nothing": ("dial-in", {"CalledExtension": "0007*101"}, "incoming"),
    "a queue hands a public caller on": (
        "dial-in",
        {"CallerIDNum": "601000101", "CallerExtension": "0007*300", "CalledExtension": "0007*101"},
        "incoming",
    ),
    "a colleague's short number": ("dial-in", {"CallerIDNum": "102", "CalledExtension": "0007*101"}, "internal"),
    "a colleague's extended number": (
        "dial-in",
        {"CallerIDNum": "0007*102", "CalledExtension": "0007*101"},
        "internal",
    ),
    "a colleague without a number": (
        "dial-in",
        {"CallerExtension": "0007*102", "CalledExtension": "0007*101"},
        "internal",
    ),
    "a public number is dialled": (
        "dial-out",
        {"CallerExtension": "0007*101", "CalledNumber": "601000101"},
        "outgoing",
    ),
    "an extension is dialled": ("dial-out", {"CallerExtension": "0007*101", "CalledNumber": "102"}, "internal"),
    "an extended number is dialled": (
        "dial-out",
        {"CallerExtension": "0007*101", "CalledNumber": "0007*102"},
        "internal",
    ),
    "a colleague's public number is dialled": (
        "dial-out",
        {"CallerExtension": "0007*101", "CalledExtension": "0007*102", "CalledNumber": "220000902"},
        "internal",
    ),
    "nothing tells whose hang-up it is": ("hangup", {"CallerIDNum": "601000101"}, None),
}


@pytest.mark.parametrize("name", DIRECTIONS)
def test_direction_of_a_leg(name: str) -> None:
    event, fields, expected = DIRECTIONS[name]

    [made] = mapped(event, CallID="a", **fields).events

    assert made.data.direction == expected


def test_what_a_call_is_stays_what_its_first_event_said() -> None:
    call = stories.call_of(
        ADAPTER,
        """
        0   dial-in     CalledExtension=0007*300 CalledNumber=220000900 CallerIDName=Jan
        1   dial-in     CalledExtension=0007*101 CalledNumber=0007*101 CallerIDNum=0007*300 CalledDID=""
        4   answer-in   CalledExtension=0007*101 CalledNumber=0007*101 CallerIDNum=101 CalledDID=""
        =>  in_progress by 0007*101
        """,
        BASE,
    )

    assert call.direction is Direction.INCOMING
    assert call.from_ is not None
    assert (call.from_.e164, call.from_.name) == ("+48601000101", "Jan")
    assert call.to is not None
    assert call.did is not None
    assert call.to.e164 == call.did.e164 == "+48220000900"


def test_times_of_derivatives_are_for_the_skew_and_order_nothing() -> None:
    sent = mapped("hangup", CallID="a", CalledExtension="1*101", EventTime="1772442898500000", Duration="7529999")

    [event] = sent.events
    assert sent.sent_at == datetime(2026, 3, 2, 9, 14, 58, 500_000, tzinfo=UTC)
    assert event.time == event.receivedat == stories.START
    assert isinstance(event, CallEnded)
    assert event.data.duration_seconds == 7.529999
    assert event.data.talk_seconds is None


@pytest.mark.parametrize("text", ["", "soon", "1772442898", "1772442898500", "9" * 16, "0" * 16, "-1772442898500000"])
def test_what_is_no_time_of_a_derivative_is_none(text: str) -> None:
    assert mapped("dial-in", CallID="a", EventTime=text).sent_at is None


def test_talk_time_is_from_answer_to_end_by_our_clock() -> None:
    call = stories.call_of(ADAPTER, STORIES["an incoming call to one phone"], BASE)

    assert (call.talk_seconds, call.outcome) == (60, Outcome.ANSWERED)


def test_every_event_of_the_url_is_mapped() -> None:
    channel = stories.channel(ADAPTER)
    for event in ADAPTER.path_events:
        request = Request(channel, {"callid": "a"}, stories.START, "r", Raw(), event=event)
        assert len(ADAPTER.to_events(request).events) == 1


def test_a_call_that_names_no_extension_anywhere_is_still_one_call() -> None:
    calls = [event for kind in ADAPTER.path_events for event in mapped(kind, CallID="a").events]

    assert Call.of(calls).uid == calls[0].subject
