"""Which bytes a Range header asks for."""

import pytest

from services.history.ranges import Span, Unsatisfiable, wanted_span


@pytest.mark.parametrize(
    ("header", "span"),
    [
        ("bytes=0-0", Span(0, 1)),
        ("bytes=0-9", Span(0, 10)),
        ("bytes=3-5", Span(3, 6)),
        ("bytes=3-", Span(3, 10)),
        ("bytes=9-9", Span(9, 10)),
        ("bytes=5-10000", Span(5, 10)),
        (f"bytes=5-{'9' * 100}", Span(5, 10)),
        ("bytes=-4", Span(6, 10)),
        ("bytes=-10", Span(0, 10)),
        ("bytes=-999", Span(0, 10)),
        ("Bytes= 1-2 ", Span(1, 3)),
    ],
)
def test_one_range_is_read(header: str, span: Span) -> None:
    assert wanted_span(header, 10) == span


@pytest.mark.parametrize(
    "header",
    [
        None,
        "",
        "bytes",
        "bytes=",
        "bytes=-",
        "bytes=5-4",
        "bytes=1-2,4-5",
        "bytes=a-b",
        "bytes=1",
        "bytes=--1",
        "bytes=+1-2",
        "bytes=١-٢",
        f"bytes={'9' * 101}-",
        "items=0-5",
        "0-5",
    ],
)
def test_what_is_not_understood_counts_as_not_sent(header: str | None) -> None:
    assert wanted_span(header, 10) is None


@pytest.mark.parametrize(
    ("header", "size"), [("bytes=10-", 10), ("bytes=10-20", 10), ("bytes=-0", 10), ("bytes=0-", 0), ("bytes=-5", 0)]
)
def test_a_range_behind_the_end_can_not_be_satisfied(header: str, size: int) -> None:
    with pytest.raises(Unsatisfiable):
        wanted_span(header, size)
