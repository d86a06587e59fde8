"""What holds for every call, however its events come in."""

from collections.abc import Sequence
from datetime import timedelta
from itertools import pairwise
from typing import Any, cast
from uuid import UUID

from hypothesis import given
from hypothesis import strategies as st

from shared.call import Call, State
from shared.events import (
    Authority,
    CallAnswered,
    CallData,
    CallEnded,
    CallNoted,
    CallRinging,
    CallRouted,
    EndedData,
    Event,
    Outcome,
    Party,
    Recording,
    RoutedData,
    parse,
)
from tests.support.story import CHANNEL, START, UID

LEGS = st.sampled_from(["", "101", "102", "103"])
NUMBERS = st.sampled_from([None, Party(raw="220000101"), Party(raw="220000900"), Party(raw="101")])
AUDIENCES = st.lists(st.integers(1, 4), max_size=3, unique=True).map(tuple)


@st.composite
def events(draw: st.DrawFn) -> Event:
    """One event of one call; few seconds, so that many tie."""
    at = START + timedelta(seconds=draw(st.integers(0, 12)))
    leg = draw(LEGS)
    envelope: dict[str, Any] = {
        "id": UUID(int=draw(st.integers(0, 2**128 - 1))),
        "source": "/ingest/test/1",
        "subject": UID,
        "time": at,
        "receivedat": at + timedelta(seconds=draw(st.integers(0, 3))),
        "account": 1,
    }
    kind = draw(st.sampled_from([CallRinging, CallAnswered, CallEnded, CallEnded, CallNoted, CallRouted]))
    if kind is CallRouted:
        rank, version = draw(st.integers(1, 5)), draw(st.integers(0, 2))
        routed = RoutedData(
            channel_id=CHANNEL,
            leg=leg,
            audience=draw(AUDIENCES),
            rule="r",
            rank=rank,
            trigger=UID,
            directory_version=version,
        )
        return CallRouted(**envelope, data=routed)
    data: dict[str, Any] = {
        "channel_id": CHANNEL,
        "provider": "test",
        "leg": leg,
        "from_": draw(NUMBERS),
        "authority": draw(st.sampled_from(Authority)),
        "comment": draw(st.sampled_from([None, "a", "b"])),
        "assignee": draw(st.sampled_from([None, 1, 2])),
        "recording": draw(st.sampled_from([None, Recording(url="https://rec.example/1")])),
        "talk_seconds": draw(st.sampled_from([None, 0.0, 7.0])),
        "says_end": draw(st.sampled_from(["call", "call", "leg"])),
    }
    if kind is CallEnded:
        return CallEnded(**envelope, data=EndedData(**data, outcome=draw(st.sampled_from(Outcome))))
    return cast(Event, kind(**envelope, data=CallData(**data)))


HISTORIES = st.lists(events(), min_size=1, max_size=12, unique_by=lambda e: e.id)


@st.composite
def arrivals(draw: st.DrawFn) -> tuple[list[Event], list[list[Event]]]:
    """A history, and the same as it comes in: permuted, some of it repeated (later, on our clock), in batches."""
    history = draw(HISTORIES)
    copies = [
        e.model_copy(update={"receivedat": e.receivedat + timedelta(seconds=draw(st.integers(0, 60)))})
        for e in draw(st.lists(st.sampled_from(history), max_size=8))
    ]
    arrived = draw(st.permutations(history + copies))
    cuts = sorted(draw(st.lists(st.integers(0, len(arrived)), max_size=4)))
    edges = [0, *cuts, len(arrived)]
    return history, [arrived[a:b] for a, b in pairwise(edges)]


def union(batches: Sequence[Sequence[Event]]) -> list[Event]:
    """Return the events of all batches, merged as a store merges them: by id, the copy received first stands."""
    known: dict[UUID, Event] = {}
    for batch in batches:
        for event in batch:
            if event.id not in known or event.receivedat < known[event.id].receivedat:
                known[event.id] = event
    return list(known.values())


@given(arrivals())
def test_any_permutation_duplication_and_grouping_gives_the_identical_call(
    arrival: tuple[list[Event], list[list[Event]]],
) -> None:
    history, batches = arrival
    told = Call.of(history)
    assert Call.of([e for batch in batches for e in batch]) == told
    assert Call.of(union(batches)) == told


@given(HISTORIES, HISTORIES)
def test_the_end_of_a_whole_call_is_never_undone(before: list[Event], after: list[Event]) -> None:
    if Call.of(before).final:
        call = Call.of(before + after)
        assert call.state is State.ENDED
        assert call.final
        assert all(leg.state is State.ENDED for leg in call.legs)


@given(HISTORIES)
def test_a_real_outcome_beats_unknown(history: list[Event]) -> None:
    call = Call.of(history)
    real = [e for e in history if isinstance(e, CallEnded) and e.data.leg == "" and e.data.authority > Authority.GUESS]
    if call.outcome is Outcome.UNKNOWN and real:
        top = max(e.data.authority for e in real)
        assert max((e for e in real if e.data.authority == top), key=lambda e: (e.time, e.id)).data.outcome == "unknown"
    if call.outcome is Outcome.UNKNOWN and not real:
        ends = [e for e in history if isinstance(e, CallEnded) and e.data.leg]
        sure = {e.data.leg for e in ends if e.data.authority > Authority.GUESS}
        for leg in call.legs:
            assert leg.outcome is Outcome.UNKNOWN or leg.leg not in sure


@given(HISTORIES)
def test_what_only_an_update_carries_is_kept(history: list[Event]) -> None:
    call = Call.of(history)
    told = [e for e in history if isinstance(e, CallRinging | CallAnswered | CallEnded | CallNoted)]
    assert set(call.comments) == {e.data.comment for e in told if e.data.comment}
    assert set(call.recordings) == {e.data.recording for e in told if e.data.recording}
    assert call.events == len({e.id for e in history})


@given(HISTORIES)
def test_notes_move_nothing(history: list[Event]) -> None:
    moving = [e for e in history if not isinstance(e, CallNoted)]
    if moving:
        with_notes, without = Call.of(history), Call.of(moving)
        for name in ("state", "final", "outcome", "legs", "answered_by", "answered_at", "ended_at", "audience"):
            if not any(e.data.says_end == "leg" for e in history if isinstance(e, CallNoted)):
                assert getattr(with_notes, name) == getattr(without, name)


@given(HISTORIES)
def test_times_are_in_order_and_a_call_that_lives_has_no_outcome(history: list[Event]) -> None:
    call = Call.of(history)
    assert (call.outcome is not None) == (call.state is State.ENDED) == (call.ended_at is not None)
    if call.ended_at is not None:
        assert call.started_at <= call.ended_at
    for leg in call.legs:
        assert (leg.outcome is not None) == (leg.state is State.ENDED)
        assert leg.ended_at is None or leg.started_at <= leg.ended_at
        assert leg.answered_at is None or leg.ended_at is None or leg.answered_at <= leg.ended_at


@given(HISTORIES)
def test_the_audience_comes_from_the_decisions_alone(history: list[Event]) -> None:
    call = Call.of(history)
    assert set(call.audience) <= {u for e in history if isinstance(e, CallRouted) for u in e.data.audience}


@given(HISTORIES)
def test_an_event_is_the_same_after_its_journey(history: list[Event]) -> None:
    assert [parse(e.to_json()) for e in history] == history
