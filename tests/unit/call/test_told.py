"""Who, which number, what was written, who must see it: what events tell beside the call's movements."""

from datetime import timedelta

import pytest

from shared.call import Call
from shared.events import Party, Recording
from tests.support import story


def call(text: str) -> Call:
    return Call.of(story.read(text)[0])


def test_the_first_leg_says_who_calls() -> None:
    told = call("""
        0  ring    101  from=220000101 to=220000900
        4  answer  101  from=101
    """)
    assert told.from_ == Party(raw="220000101")
    assert told.to == Party(raw="220000900")


def test_the_calls_record_corrects_what_was_said_live() -> None:
    told = call("""
        0  ring    *  from=anonymous
        9  end     *  from=220000101 answered record
    """)
    assert told.from_ == Party(raw="220000101")


def test_a_legs_record_does_not_speak_for_the_call() -> None:
    told = call("""
        0  ring    101  from=220000101
        9  end     101  from=101 answered record
    """)
    assert told.from_ == Party(raw="220000101")


def test_the_last_assignment_counts_and_a_person_has_the_last_word() -> None:
    assert call("0 ring * assignee=1\n 5 note * assignee=2").assignee == 2
    assert call("0 note * assignee=1 person\n 5 note * assignee=2").assignee == 1


def test_the_ticket_stays_the_one_that_was_given_first() -> None:
    told = call("""
        0  ring  *  call_number=4101 ticket_number=9007 department_id=3
        5  note  *  ticket_number=9008 department_id=4
        9  end   *  answered record call_number=4102 ticket_number=9009 department_id=5
    """)
    assert (told.call_number, told.ticket_number, told.department_id) == (4101, 9007, 3)


def test_a_person_may_move_the_ticket_to_another_department() -> None:
    told = call("""
        0  ring  *  ticket_number=9007 department_id=3
        5  note  *  department_id=4 person
        9  end   *  answered record department_id=3
    """)
    assert (told.ticket_number, told.department_id) == (9007, 4)


def test_a_call_without_a_ticket_has_no_department() -> None:
    told = call("0 ring *")
    assert (told.ticket_number, told.department_id) == (None, None)


def test_every_comment_and_recording_is_kept_once_and_in_order() -> None:
    told = call("""
        0  end   *  answered comment=first recording=https://rec.example/1
        5  note  *  comment=second
        6  note  *  comment=first recording=https://rec.example/1
    """)
    assert told.comments == ("first", "second")
    assert told.recordings == (Recording(url="https://rec.example/1"),)


def test_a_tombstone_stays() -> None:
    told = call("""
        0  end   *  answered
        5  note  *  deleted=1 person
        9  end   *  missed record
    """)
    assert told.deleted


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("0 ring 101\n 5 answer 101\n 65 end 101 answered", 60),
        ("0 ring 101\n 9 end * answered record talk_seconds=7", 7),
        ("0 ring 101\n 9 end 101 answered talk_seconds=7\n 9 end * answered", 7),
        ("0 end 101 answered talk_seconds=7\n 0 end 102 answered talk_seconds=5", 12),
        ("0 ring 101\n 9 end 101 answered talk_seconds=7\n 20 ring 101\n 25 end 101 answered talk_seconds=3", 10),
        ("0 end * answered talk_seconds=7\n 1 end * answered record talk_seconds=8", 8),
        ("0 ring *\n 9 end * answered", None),
    ],
)
def test_talk_time_is_what_was_told_and_is_never_invented(text: str, seconds: float | None) -> None:
    assert call(text).talk_seconds == seconds


def test_the_start_is_what_the_provider_tells_or_the_first_news() -> None:
    assert call("5 end * answered").started_at == story.START + timedelta(seconds=5)
    assert call("5 end * answered started_at=1").started_at == story.START + timedelta(seconds=1)


def test_the_earlier_copy_of_an_event_stands() -> None:
    (first,), _ = story.read("0 ring *")
    later = first.model_copy(update={"receivedat": first.receivedat + timedelta(seconds=9)})
    assert Call.of([later, first]).first_received_at == first.receivedat
    assert Call.of([later, first]).events == 1


AUDIENCES = {
    "nobody decided": ("0 ring 101", ()),
    "the call's own decision": ("0 ring *\n 0 route * to_users=1,2 rank=5", (1, 2)),
    "legs before the call": (
        "0 ring *\n 0 route * to_users=1,2,3 rank=5\n 1 ring 101\n 1 route 101 to_users=1 rank=2",
        (1,),
    ),
    "all live legs": (
        "0 ring 101\n 0 route 101 to_users=1 rank=2\n 0 ring 102\n 0 route 102 to_users=2 rank=2",
        (1, 2),
    ),
    "a leg that is over no longer counts": (
        "0 ring 101\n 0 route 101 to_users=1 rank=2\n 0 ring 102\n 0 route 102 to_users=2 rank=2\n 5 end 101 missed",
        (2,),
    ),
    "a vaguer rank never widens": (
        "0 ring 101\n 0 route 101 to_users=1 rank=2\n 1 ring 102\n 1 route 102 to_users=1,2,3 rank=5",
        (1,),
    ),
    "the latest decision on a leg": (
        "0 ring 101\n 0 route 101 to_users=1 rank=2\n 5 route 101 to_users=3 rank=2",
        (3,),
    ),
    "of an ended call: who had to see it": (
        "0 ring 101\n 0 route 101 to_users=1 rank=2\n 5 end 101 missed",
        (1,),
    ),
    "decided to show it to nobody": ("0 ring 101\n 0 route 101 rank=1\n 0 route * to_users=1 rank=5", ()),
}


@pytest.mark.parametrize("name", AUDIENCES)
def test_audience(name: str) -> None:
    text, audience = AUDIENCES[name]
    assert call(text).audience == audience
