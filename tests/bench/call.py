"""CPU time of what every service does with every call: parse its events, fold them, write them again."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from time import process_time
from typing import Any, Final

from shared.call import Call
from shared.events import Outcome, parse
from tests.bench.figures import middle, table
from tests.support.histories import Story, Told

SIZES: Final = (3, 5, 13, 100)
_ROUNDS = 7
_LEAST_SECONDS = 0.05


def story(size: int) -> list[Told]:
    """Return a call of `size` events: a queue rings its phones in turn, one answers, it ends, and notes follow."""
    told = Story(f"bench-{size}", seed=size)
    legs = [str(101 + n) for n in range(max(1, min(8, size // 3)))]
    told.ring(legs[0])
    while len(told.events) < size - 2:
        turn = len(told.events)
        if turn < 2 * len(legs):
            told.ring(legs[turn // 2])
        elif turn % 2:
            told.note(comment=f"note {turn}")
        else:
            told.route(legs[0])
    told.answer(legs[-1])
    told.wait(1, 2)
    told.end(Outcome.ANSWERED, legs[-1])
    return told.events


def microseconds(work: Callable[[], object]) -> float:
    """Return the CPU time of one `work()`, the median of some rounds."""
    repeats = 1
    while (once := _cpu(work, repeats)) < _LEAST_SECONDS:
        repeats = max(repeats * 2, int(repeats * _LEAST_SECONDS / max(once, 1e-6)))
    return middle(_cpu(work, repeats) / repeats for _ in range(_ROUNDS)) * 1e6


def _cpu(work: Callable[[], object], repeats: int) -> float:
    started = process_time()
    for _ in range(repeats):
        work()
    return process_time() - started


def run() -> str:
    """Return the table."""
    rows = [_row(size) for size in SIZES]
    return table(
        "The call: CPU microseconds", ("events of a call", "Call.of", "of one event", "parse one", "write one"), rows
    )


def _row(size: int) -> list[str]:
    events: list[Any] = story(size)
    if len(events) != size:
        raise AssertionError(f"a story of {len(events)} events instead of {size}")
    if events[-1].time - events[0].time > timedelta(days=1):
        raise AssertionError("a call that long is none")
    bodies = [event.to_json() for event in events]
    fold = microseconds(lambda: Call.of(events))
    read = microseconds(lambda: [parse(body) for body in bodies]) / size
    write = microseconds(lambda: [event.to_json() for event in events]) / size
    return [str(size), f"{fold:.1f}", f"{fold / size:.2f}", f"{read:.1f}", f"{write:.1f}"]
