"""Which deliveries are handled together, which alone, and what is acknowledged."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from shared.bus.inbox import Inbox
from shared.bus.messages import Delivery


def delivery(tag: int, count: int = 0) -> Delivery:
    return Delivery(b"", f"id-{tag}", "k", count > 0, count, {}, "calls", "", tag)


def inbox(*deliveries: Delivery, batch_size: int = 3) -> Inbox:
    box = Inbox(batch_size, suspect_from=10)
    for each in deliveries:
        box.add(each, now=float(each.tag))
    return box


def drain(box: Inbox, now: float = 100.0) -> list[list[int]]:
    works = []
    while work := box.take(now):
        works.append([each.tag for each in work])
    return works


def test_fresh_messages_come_in_batches() -> None:
    assert drain(inbox(*(delivery(tag) for tag in range(1, 8)))) == [[1, 2, 3], [4, 5, 6], [7]]


def test_redelivered_messages_come_alone_in_turn_with_batches() -> None:
    box = inbox(delivery(1, 1), delivery(2, 1), *(delivery(tag) for tag in range(3, 8)))
    assert drain(box) == [[3, 4, 5], [1], [6, 7], [2]]


def test_failed_batch_comes_again_one_by_one() -> None:
    box = inbox(delivery(1), delivery(2))
    box.separate(box.take(0.0))
    assert drain(box) == [[1], [2]]


def test_suspects_come_after_the_others_each_once() -> None:
    box = inbox(delivery(1, 9), delivery(2, 9), delivery(3, 8), delivery(4, 50))
    works = drain(box)
    assert works[0] == [3]
    assert sorted(works[1:]) == [[1], [2], [4]]


def test_message_to_be_tried_later_comes_when_it_is_due_or_hastened() -> None:
    box = inbox(delivery(1), delivery(2))
    for each in box.take(0.0):
        box.retry(each, due=10.0 + each.tag)
    assert (box.take(10.0), box.next_retry) == ([], 11.0)
    assert [each.tag for each in box.take(11.0)] == [1]
    box.hasten()
    assert [each.tag for each in box.take(11.0)] == [2]


def test_oldest_is_the_arrival_of_what_is_held_longest() -> None:
    box = inbox(delivery(1), delivery(2))
    assert box.oldest == 1.0
    box.done([delivery(1)])
    assert box.oldest == 2.0
    box.done([delivery(2)])
    assert len(box) == 0


def test_one_acknowledgement_serves_a_batch_with_nothing_held_below_it() -> None:
    box = inbox(*(delivery(tag) for tag in range(1, 6)))
    assert box.done(box.take(0.0)) == [(3, True)]
    assert box.done(box.take(0.0)) == [(5, True)]


@given(st.permutations(range(1, 12)), st.data())
def test_acknowledgements_cover_exactly_what_is_done(order: list[int], data: st.DataObject) -> None:
    box = inbox(*(delivery(tag) for tag in range(1, 12)))
    unacked, done = set(range(1, 12)), set()
    while order:
        size = data.draw(st.integers(1, len(order)))
        part, order = order[:size], order[size:]
        done |= set(part)
        for tag, multiple in box.done([delivery(tag) for tag in part]):
            assert tag in unacked  # else the broker would close the channel
            unacked -= {each for each in unacked if each <= tag} if multiple else {tag}
        assert unacked == set(range(1, 12)) - done
