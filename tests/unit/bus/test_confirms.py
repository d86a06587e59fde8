"""A publish succeeds only when the broker has taken every message of it."""

from __future__ import annotations

import asyncio

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.bus.confirms import Confirms
from shared.bus.messages import Message, Nacked, NotPublished, Unavailable, Unroutable


def message(message_id: str, routing_key: str = "k") -> Message:
    return Message("calls", routing_key, b"", message_id)


def add(confirms: Confirms, *messages: Message) -> asyncio.Future[None]:
    outcome: asyncio.Future[None] = asyncio.get_running_loop().create_future()
    confirms.add(messages, outcome)
    return outcome


async def test_call_ends_with_its_last_message() -> None:
    confirms = Confirms()
    outcome = add(confirms, message("a"), message("b"))
    confirms.settle(2, multiple=False, taken=True)
    assert not outcome.done()
    confirms.settle(1, multiple=False, taken=True)
    assert outcome.result() is None
    assert (len(confirms), confirms.oldest) == (0, None)


async def test_multiple_answers_all_up_to_its_number_and_zero_answers_all() -> None:
    confirms = Confirms()
    first, second, third = add(confirms, message("a")), add(confirms, message("b")), add(confirms, message("c"))
    confirms.settle(2, multiple=True, taken=True)
    assert (first.done(), second.done(), third.done()) == (True, True, False)
    assert confirms.oldest == 3
    confirms.settle(0, multiple=True, taken=True)
    assert third.done()


async def test_one_refused_message_fails_its_call_only() -> None:
    confirms = Confirms()
    mixed, well = add(confirms, message("a"), message("b")), add(confirms, message("c"))
    confirms.settle(2, multiple=False, taken=False)
    confirms.settle(3, multiple=True, taken=True)
    assert well.result() is None
    with pytest.raises(Nacked) as raised:
        mixed.result()
    assert raised.value.message_ids == ("b",)


async def test_returned_message_is_unroutable_although_it_is_acked() -> None:
    confirms = Confirms()
    lost, well = add(confirms, message("a", "nowhere")), add(confirms, message("a", "somewhere"))
    confirms.returned("calls", "nowhere", "a")
    confirms.settle(2, multiple=True, taken=True)
    assert well.result() is None
    with pytest.raises(Unroutable):
        lost.result()


async def test_return_dooms_every_unanswered_twin_and_no_later_one() -> None:
    confirms = Confirms()
    twins = [add(confirms, message("a")) for _ in range(2)]
    confirms.returned("calls", "k", "a")
    later = add(confirms, message("a"))
    confirms.settle(3, multiple=True, taken=True)
    assert [type(twin.exception()) for twin in twins] == [Unroutable, Unroutable]
    assert later.result() is None


async def test_lost_connection_fails_all_that_wait_and_late_answers_are_ignored() -> None:
    confirms = Confirms()
    outcome, gone = add(confirms, message("a"), message("b")), add(confirms, message("c"))
    gone.cancel()
    confirms.settle(1, multiple=False, taken=True)
    confirms.fail(Unavailable("lost"))
    confirms.settle(3, multiple=True, taken=True)
    assert isinstance(outcome.exception(), Unavailable)


@given(st.lists(st.integers(1, 4), min_size=1, max_size=12), st.randoms(use_true_random=False))
def test_any_order_of_answers_gives_every_call_its_own_fate(sizes: list[int], random: object) -> None:
    async def run() -> None:
        confirms = Confirms()
        outcomes = [
            add(confirms, *(message(f"{call}-{each}") for each in range(size))) for call, size in enumerate(sizes)
        ]
        numbers = list(range(1, sum(sizes) + 1))
        refused = {number for number in numbers if number % 5 == 0}
        random.shuffle(numbers)  # type: ignore[attr-defined]
        for number in numbers:
            confirms.settle(number, multiple=False, taken=number not in refused)
        first = 1
        for outcome, size in zip(outcomes, sizes, strict=True):
            own = set(range(first, first + size))
            first += size
            error = outcome.exception()
            assert (error is None) == (not own & refused)
            assert error is None or isinstance(error, NotPublished)
        assert (len(confirms), confirms.oldest) == (0, None)

    asyncio.run(run())
