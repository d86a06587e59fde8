"""Which publishes the broker has yet to answer. Pure but for the futures it resolves."""

import asyncio
from collections.abc import Callable, Sequence

from shared.bus.messages import Message, Nacked, NotPublished, Unroutable


class _Call:
    """One call of publish: how many of its messages are unanswered, and which were not taken."""

    __slots__ = ("nacked", "outcome", "remaining", "returned")

    def __init__(self, remaining: int, outcome: asyncio.Future[None]) -> None:
        self.remaining = remaining
        self.outcome = outcome
        self.nacked: list[str] = []
        self.returned: list[str] = []

    def finish(self) -> None:
        if self.outcome.done():  # its caller has gone
            return
        if self.returned:
            self.outcome.set_exception(Unroutable(self.returned))
        elif self.nacked:
            self.outcome.set_exception(Nacked(self.nacked))
        else:
            self.outcome.set_result(None)


class Confirms:
    """Publishes of one channel by sequence number, in order, until acked or nacked.

    An unroutable message is returned *and then acked*. A return names its message by exchange, routing key and id
    only; where several unanswered publishes share all three (a caller's retry), all of them count as returned: a
    repeat does no harm, a confirm that is not true loses a call. `on_answer` is called after every answer.
    """

    def __init__(self, on_answer: Callable[[], None] = lambda: None) -> None:
        self._on_answer = on_answer
        self.nacked = 0
        self.unroutable = 0
        self._unanswered: dict[int, tuple[Message, _Call]] = {}
        self._returned: set[int] = set()
        self._next = 1
        self._oldest = 1

    def __len__(self) -> int:
        return len(self._unanswered)

    @property
    def oldest(self) -> int | None:
        """The sequence number that has waited longest, or None."""
        while self._oldest < self._next and self._oldest not in self._unanswered:
            self._oldest += 1
        return self._oldest if self._oldest < self._next else None

    def add(self, messages: Sequence[Message], outcome: asyncio.Future[None]) -> None:
        """Expect an answer for each of `messages`, which the caller sends in this order."""
        call = _Call(len(messages), outcome)
        for message in messages:
            self._unanswered[self._next] = (message, call)
            self._next += 1

    def returned(self, exchange: str, routing_key: str, message_id: str) -> None:
        """Note a basic.return. It comes before the ack of the same message."""
        wanted = (exchange, routing_key, message_id)
        for number, (message, _call) in self._unanswered.items():
            if (message.exchange, message.routing_key, message.message_id) == wanted:
                self._returned.add(number)

    def settle(self, number: int, *, multiple: bool, taken: bool) -> None:
        """Note an ack (`taken`) or nack of `number`, and of all before it where `multiple` (0: of all)."""
        if multiple:
            last = number or self._next - 1
            for each in range(self._oldest, last + 1):
                self._settle(each, taken)
            self._oldest = max(self._oldest, last + 1)
        else:
            self._settle(number, taken)
        self._on_answer()

    def fail(self, error: NotPublished) -> None:
        """End every waiting call with `error`: nothing more will be answered on this channel."""
        unanswered, self._unanswered = self._unanswered, {}
        for _message, call in unanswered.values():
            if not call.outcome.done():
                call.outcome.set_exception(error)

    def _settle(self, number: int, taken: bool) -> None:
        entry = self._unanswered.pop(number, None)
        if entry is None:
            return
        message, call = entry
        if number in self._returned:
            self._returned.discard(number)
            self.unroutable += 1
            call.returned.append(message.message_id)
        elif not taken:
            self.nacked += 1
            call.nacked.append(message.message_id)
        call.remaining -= 1
        if not call.remaining:
            call.finish()
