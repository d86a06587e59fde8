"""The token bucket."""

from services.ingest.limits import TokenBuckets


def test_a_burst_is_taken_and_then_the_rate() -> None:
    buckets = TokenBuckets()

    at_once = [buckets.take("a", 10, 3, now=0.0) for _ in range(4)]
    later = [buckets.take("a", 10, 3, now=0.11) for _ in range(2)]

    assert at_once == [0, 0, 0, 0.1]
    assert later[0] == 0
    assert later[1] > 0


def test_a_bucket_never_holds_more_than_a_burst() -> None:
    buckets = TokenBuckets()
    buckets.take("a", 10, 3, now=0.0)

    assert [buckets.take("a", 10, 3, now=1000.0) == 0 for _ in range(4)] == [True, True, True, False]


def test_keys_do_not_share() -> None:
    buckets = TokenBuckets()
    buckets.take("a", 1, 1, now=0.0)

    assert buckets.take("a", 1, 1, now=0.0) == 1
    assert buckets.take("b", 1, 1, now=0.0) == 0


def test_what_is_remembered_is_bounded() -> None:
    buckets = TokenBuckets()
    for key in range(20_000):
        buckets.take(key, 1, 1, now=0.0)

    assert len(buckets._buckets) == 10_000
