"""When a message that fails becomes poison."""

from __future__ import annotations

from shared.bus.failures import Failures


def test_it_is_poison_at_the_tenth_failure_with_healthy_dependencies() -> None:
    failures = Failures(tries=10)
    assert [failures.failed("a", transient=False, healthy=True) for _ in range(10)] == [
        (attempt, attempt == 10) for attempt in range(1, 11)
    ]


def test_failures_with_dependencies_away_do_not_count() -> None:
    failures = Failures(tries=2)
    assert not any(failures.failed("a", transient=False, healthy=False)[1] for _ in range(50))
    assert failures.failed("a", transient=False, healthy=True) == (51, False)
    assert failures.failed("a", transient=False, healthy=True) == (52, True)


def test_transient_failures_count_only_when_others_went_through_in_between() -> None:
    failures = Failures(tries=2)
    assert not any(failures.failed("a", transient=True, healthy=True)[1] for _ in range(50))
    failures.handled("b")
    assert failures.failed("a", transient=True, healthy=False) == (51, False)
    assert failures.failed("a", transient=True, healthy=False) == (52, False)
    failures.handled("b")
    assert failures.failed("a", transient=True, healthy=False) == (53, True)


def test_message_that_was_handled_or_buried_starts_afresh() -> None:
    failures = Failures(tries=2)
    failures.failed("a", transient=False, healthy=True)
    failures.handled("a")
    assert failures.failed("a", transient=False, healthy=True) == (1, False)
    failures.forget("a")
    assert failures.failed("a", transient=False, healthy=True) == (1, False)


def test_memory_is_bounded() -> None:
    failures = Failures(tries=2)
    for number in range(10_001):
        failures.failed(str(number), transient=False, healthy=True)
    assert failures.failed("0", transient=False, healthy=True) == (1, False)
