"""Calls as people live them, and the complaints that are made of systems like this one."""

import random
from datetime import timedelta

import pytest

from shared.call import Call
from shared.events import Outcome
from shared.events.ids import call_uid
from tests.support import story

SCENARIOS = {
    "an incoming call is answered and over": """
        0   ring    101
        =>  ringing
        4   answer  101
        =>  in_progress by 101
        65  end     101  answered
        =>  ended answered by 101
            - 101 ended answered
    """,
    "the end overtakes the start": """
        1   end     *  canceled
        =>  ended canceled for good
        2   ring    *
        =>  ended canceled for good
    """,
    "a leg's end overtakes its start": """
        1   end     101  canceled
        2   ring    101
        =>  ended canceled
            - 101 ended canceled
    """,
    "only the hang-up arrives": """
        0   end     *  answered record talk_seconds=73
        =>  ended answered for good
    """,
    "only one leg's hang-up arrives": """
        0   end     101  missed
        =>  ended missed
            - 101 ended missed
    """,
    "a provider that never reports an answer tells it at the end": """
        0   ring    *
        =>  ringing
        30  end     *  answered record
        =>  ended answered for good
    """,
    "a queue rings three phones, one answers: answered elsewhere is not missed": """
        0   ring    *
        1   ring    101
        1   ring    102
        1   ring    103
        4   answer  102
        =>  in_progress by 102
            - 101 ringing
            - 102 in_progress
            - 103 ringing
        5   end     101  canceled
        5   end     103  missed
        =>  in_progress by 102
        60  end     102  answered
        60  end     *    answered record
        =>  ended answered for good by 102
            - 101 ended canceled
            - 102 ended answered
            - 103 ended missed
    """,
    "the phones that never hear of the end are ended with their call": """
        0   ring    101
        0   ring    102
        4   answer  102
        9   end     *  answered
        =>  ended answered for good by 102
            - 101 ended canceled
            - 102 ended answered
    """,
    "a group that nobody answers": """
        0   ring    101
        0   ring    102
        20  end     101  missed
        =>  ringing
            - 101 ended missed
            - 102 ringing
        20  end     102  busy
        =>  ended busy
    """,
    "one unreachable phone does not fail a group": """
        0   end     101  failed
        0   ring    102
        =>  ringing
        15  end     102  missed
        =>  ended missed
    """,
    "hunting: the call comes back when the next leg rings": """
        0   ring    101
        15  end     101  missed
        =>  ended missed
        16  ring    102
        =>  ringing
        20  answer  102
        50  end     102  answered
        =>  ended answered by 102
            - 101 ended missed
            - 102 ended answered
    """,
    "hunting comes round to the same phone": """
        0   ring    101
        15  end     101  missed
        20  ring    101
        =>  ringing
            - 101 ringing
        24  answer  101
        30  end     101  answered
        =>  ended answered by 101
    """,
    "a late copy of a ring does not bring its leg back": """
        0   ring    101
        15  end     101  missed
        17  ring    101
        =>  ended missed
            - 101 ended missed
    """,
    "how late is a setting of the channel": """
        0   ring    101
        15  end     101  missed
        17  ring    101  leg_reopen_seconds=1
        =>  ringing
    """,
    "a queue keeps its call alive between its phones": """
        0   ring    *
        1   ring    101
        15  end     101  missed
        =>  ringing
        16  ring    102
        30  end     102  missed
        =>  ringing
        31  end     *  missed
        =>  ended missed for good
    """,
    "a queue's hang-up that knows of no answer: a leg was answered": """
        0   ring    *
        1   ring    101
        20  end     101  answered record
        20  end     *    missed
        =>  ended answered for good by 101
    """,
    "a record that says missed is believed over a live answer": """
        0   ring    101
        3   answer  101
        9   end     *  missed record
        =>  ended missed for good by 101
    """,
    "a transfer: the second leg has the call": """
        0   ring    101
        4   answer  101
        30  ring    102
        34  answer  102
        34  end     101  answered
        =>  in_progress by 102
            - 101 ended answered
            - 102 in_progress
        90  end     102  answered
        =>  ended answered by 102
    """,
    "a blind transfer: talked on, it does not ring again": """
        0   ring    *
        2   answer  *
        2   ring    101
        3   answer  101
        30  end     101  answered
        =>  in_progress by 101
        31  ring    102
        =>  in_progress by 101
        50  end     *  answered
        =>  ended answered for good by 101
            - 101 ended answered
            - 102 ended canceled
    """,
    "several hang-ups, one per party": """
        0   ring    101
        3   answer  101
        40  end     101  answered
        40  end     *    answered
        41  end     *    answered record
        =>  ended answered for good by 101
    """,
    "a real outcome beats unknown, whichever comes first": """
        0   ring    *
        9   end     *  unknown
        =>  ended unknown for good
        9   end     *  busy record
        =>  ended busy for good
    """,
    "the record counts though the live word comes after it": """
        0   end     *  answered record
        1   end     *  missed
        =>  ended answered for good
    """,
    "of two live words the later counts": """
        0   end     *  busy
        1   end     *  failed
        =>  ended failed for good
    """,
    "a person has the last word": """
        0   end     *  missed record
        9   end     *  answered person
        10  end     *  missed record
        =>  ended answered for good
    """,
    "an unknown end of an answered leg is an answered call": """
        0   ring    101
        2   answer  101
        9   end     101  unknown
        =>  ended answered by 101
    """,
    "the hang-up never comes: the watchdog ends the call": """
        0   ring    101
        2   answer  101
        7202 end    *  unknown guess
        =>  ended answered by 101
    """,
    "the watchdog ends a call that only rang": """
        0   ring    *
        120 end     *  unknown guess
        =>  ended unknown
    """,
    "a real end still wins over the watchdog's": """
        0   ring    *
        120 end     *  unknown guess
        140 end     *  missed
        =>  ended missed for good
    """,
    "a leg's real end wins over the watchdog's": """
        0   ring    101
        120 end     *    unknown guess
        =>  ended unknown
            - 101 ended unknown
        140 end     101  missed
        =>  ended missed
            - 101 ended missed
    """,
    "a call that the watchdog ended comes back when it moves": """
        0   ring    101
        120 end     *  unknown guess
        121 answer  101
        =>  in_progress by 101
            - 101 in_progress
    """,
    "a guess that was made on old news does not end what has moved since": """
        0   ring    101
        150 answer  101
        120 end     *  unknown guess
        =>  in_progress by 101
    """,
    "where only legs are ever ended, the last one takes the call along": """
        0   ring    *    says_end=leg
        1   ring    101  says_end=leg
        20  end     101  missed record says_end=leg
        =>  ended missed
        30  ring    102  says_end=leg
        =>  ringing
        40  end     102  answered record says_end=leg
        =>  ended answered by 102
    """,
    "where only legs are ever ended, the call's own end is still one for good": """
        0   ring    *    says_end=leg
        20  end     *    missed record says_end=leg
        25  ring    101  says_end=leg
        =>  ended missed for good
            - 101 ended missed
    """,
    "a ring that comes two seconds after the end of its leg": """
        0   ring    101
        5   end     101  canceled
        7   ring    101
        =>  ended canceled
            - 101 ended canceled
    """,
    "the same ring and the same end twice, under different ids": """
        0   ring    101
        1   ring    101
        20  end     101  missed
        20  end     101  missed
        =>  ended missed
            - 101 ended missed
    """,
    "the recording is ready forty seconds after the end": """
        0   ring    *
        60  end     *  answered record
        100 note    *  recording=https://rec.example/1.mp3
        =>  ended answered for good
    """,
    "answered on a mobile that the system never hears of again": """
        0   ring    *
        1   ring    101
        1   ring    mobile
        5   answer  mobile
        5   end     101     canceled
        90  end     *       answered
        =>  ended answered for good by mobile
            - 101 ended canceled
            - mobile ended answered
    """,
    "a transfer back: while the first phone rings again the second still has the call": """
        0   ring    101
        4   answer  101
        30  ring    102
        34  answer  102
        34  end     101  answered
        60  ring    101
        =>  in_progress by 102
            - 102 in_progress
            - 101 ringing
        70  end     102  answered
        75  end     101  missed
        =>  ended answered by 102
            - 102 ended answered
            - 101 ended missed
    """,
    "a ring that comes after the call is over for good leaves its leg as it was": """
        0   ring    101
        3   answer  101
        10  end     101  answered
        10  end     *    answered record
        20  ring    101
        =>  ended answered for good by 101
            - 101 ended answered
    """,
    "a guess is withdrawn, an answer before it is not": """
        0    ring   101
        4    answer 101
        7200 end    *    unknown guess
        7300 ring   101
        7320 end    101  missed
        =>  ended answered by 101
            - 101 ended missed
    """,
    "a real end overrules the watchdog's for the legs too": """
        0   ring    101
        120 end     *    unknown guess
        140 end     *    missed
        =>  ended missed for good
            - 101 ended missed
    """,
    "a recording before everything else": """
        0   note    *  recording=https://rec.example/1.mp3
        =>  unmoved
        1   ring    *
        =>  ringing
    """,
}

READ = {name: story.read(text) for name, text in SCENARIOS.items()}


@pytest.mark.parametrize("name", READ)
def test_call_looks_as_told(name: str) -> None:
    _, checks = READ[name]
    assert checks
    for check in checks:
        call = Call.of(check.events)
        assert story.look(call) == check.claim
        if check.legs:
            assert [story.look_of_leg(leg) for leg in call.legs] == check.legs


@pytest.mark.parametrize("name", READ)
def test_order_of_arrival_and_repeats_do_not_matter(name: str) -> None:
    events, _ = READ[name]
    told = Call.of(events)
    chance = random.Random(name)
    for _ in range(30):
        arrived = events + chance.choices(events, k=3)
        chance.shuffle(arrived)
        assert Call.of(arrived) == told


def test_the_first_answer_stands_when_the_same_phone_rings_again() -> None:
    events, _ = story.read("0 ring 101\n4 answer 101\n30 end 101 answered\n60 ring 101\n75 end 101 missed")

    call = Call.of(events)

    assert call.answered_at == story.START + timedelta(seconds=4)
    assert call.outcome is Outcome.ANSWERED


def test_two_calls_between_the_same_numbers_stay_two() -> None:
    first, _ = story.read("0 end * busy from=220000101 to=220000900")
    second, _ = story.read("0 end * busy from=220000101 to=220000900", uid=call_uid(story.CHANNEL, "another"))
    assert Call.of(first).uid != Call.of(second).uid
    with pytest.raises(ValueError, match="several calls"):
        Call.of(first + second)


def test_no_events_are_no_call() -> None:
    with pytest.raises(ValueError, match="at least one"):
        Call.of([])
