"""Set union and total order: the two things that make `Call.of` indifferent to how its events arrived."""

from collections.abc import Iterable
from datetime import datetime

from shared.events import CallAnswered, CallEnded, CallNoted, CallRinging, CallRouted, Event

Told = CallRinging | CallAnswered | CallEnded | CallNoted
Folded = Told | CallRouted

_FOLDED = (CallRinging, CallAnswered, CallEnded, CallNoted, CallRouted)


def distinct(events: Iterable[Event]) -> list[Folded]:
    """Return the events that a call is folded from, each once, in their total order.

    Of two copies of one event the one that was received first stands. The order is (effective time, id); decisions on
    one trigger share its time, so the directory's version comes between.
    """
    by_id: dict[object, Folded] = {}
    for event in events:
        if isinstance(event, _FOLDED):
            known = by_id.get(event.id)
            if known is None or _copy_order(event) < _copy_order(known):
                by_id[event.id] = event
    return sorted(by_id.values(), key=_order)


def _copy_order(event: Folded) -> tuple[datetime, datetime, str]:
    return event.receivedat, event.time, event.requestid or ""


def _order(event: Folded) -> tuple[datetime, int, int]:
    return event.time, event.data.directory_version if isinstance(event, CallRouted) else 0, event.id.int
